#include "fs/client/mapping.h"
#include "tests/sys/power_model.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "tests/sys/objects.h"

struct run {
	struct power *power;
	struct power_client *client;
	struct mapping_mount *mount;
	uint32_t live[POWER_LIVE], live_count;
	unsigned directories;
};

static uint64_t now(const struct run *run)
{
	return disk_position(run->power->disk);
}

static uint32_t draw(struct run *run, uint32_t below)
{
	return (uint32_t)(disk_random(&run->client->drawn) % below);
}

uint64_t power_word(unsigned client, uint32_t object, uint32_t version, uint32_t page,
		    uint32_t word)
{
	uint64_t seed =
	    (uint64_t)client << 48 | (uint64_t)object << 32 | version << 24 | page << 12 | word;

	if (word == 0)
		return 0x4d41505057520000ULL | client << 12 | object;
	return disk_random(&seed);
}

mode_t power_mode(uint32_t version)
{
	return 0600 | (version & 7) << 3;
}

void power_external(const struct power *power, unsigned client, uint32_t object, char *path,
		    size_t size)
{
	snprintf(path, size, "%s/ext/%u-%u", power->fs, client, object);
}

static void fill(const struct run *run, uint32_t object, uint32_t version, uint64_t *words,
		 uint32_t pages)
{
	for (uint32_t i = 0; i < pages * (POWER_PAGE / 8); i++)
		words[i] = power_word(run->client->id, object, version, i / (POWER_PAGE / 8),
				      i % (POWER_PAGE / 8));
}

static struct power_object *at(struct run *run, uint32_t object)
{
	return &run->client->objects[object];
}

static void full_path(const struct run *run, const struct power_object *o, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", run->power->mnt, o->names[o->name_count - 1].path);
}

static void flushed(struct run *run, struct power_object *o, bool content)
{
	o->flushes[o->flush_count].version = content ? (int)o->versions - 1 : -1;
	o->flushes[o->flush_count].name = o->name_count - 1;
	o->flushes[o->flush_count].to = now(run);
	o->flush_count++;
	run->client->flushes++;
}

static bool room_to_flush(const struct power_object *o)
{
	return o->flush_count + 1 < POWER_FLUSHES;
}

/* --- an object's content --- */

static int write_words(const struct run *run, uint32_t object, int fd)
{
	struct power_object *o = &run->client->objects[object];
	size_t bytes = (size_t)o->pages * POWER_PAGE;
	AUTO_FREE uint64_t *words = malloc(bytes);
	char text[16];

	/* First: once the data is there, the flush may come by itself. */
	snprintf(text, sizeof text, "%u", o->versions - 1);
	CHECK(fsetxattr(fd, "user.version", text, strlen(text), 0) == 0);
	CHECK(fchmod(fd, power_mode(o->versions - 1)) == 0);
	fill(run, object, o->versions - 1, words, o->pages);
	if (o->kind == POWER_BOUND) {
		void *view = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		CHECK(view != MAP_FAILED);
		memcpy(view, words, bytes);
		CHECK(munmap(view, bytes) == 0);
	} else {
		CHECK(pwrite(fd, words, bytes, 0) == (ssize_t)bytes);
	}
	return 0;
}

static int begin_version(struct run *run, uint32_t object, int fd)
{
	struct power_object *o = at(run, object);

	o->version_from[o->versions++] = now(run);
	if (o->kind != POWER_SEMAPHORE)
		return write_words(run, object, fd);
	CHECK(o->versions == 1 || write(fd, "release\n", 8) == 8);
	return 0;
}

/* The flush that comes by itself. Only mappings bound to a file have it. */
static int last_view(struct run *run, uint32_t object, int *fd)
{
	struct power_object *o = at(run, object);
	AUTO_FREE char *before = NULL;
	char path[300];
	bool told;

	o->used = true;
	full_path(run, o, path, sizeof path);
	before = sys_xattr(path, "user.mapping.flush");
	CHECK(before);
	CHECK(begin_version(run, object, *fd) == 0);
	close(steal_fd(fd));
	told =
	    BECOMES_TRUE(30, ({
				 AUTO_FREE char *text = sys_xattr(path, "user.mapping.flush");
				 text &&strcmp(text, before) != 0 && strncmp(text, "ok ", 3) == 0;
			 }));
	CHECK(told);
	flushed(run, o, true);
	run->client->last_view_flushes++;
	return 0;
}

static int modify(struct run *run, uint32_t object)
{
	struct power_object *o = at(run, object);
	AUTO_CLOSE int fd = -1;
	char path[300];

	if (o->versions == POWER_VERSIONS || !room_to_flush(o))
		return 0;
	full_path(run, o, path, sizeof path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	CHECK(fd >= 0);
	/* Only the first use of all: the flush after another one could be taken for this one's. */
	if (o->kind == POWER_BOUND && object % 2 && !o->used)
		return last_view(run, object, &fd);
	o->used = true;
	CHECK(begin_version(run, object, fd) == 0);
	if (o->kind == POWER_BOUND || draw(run, 2)) {
		CHECK(fsync(fd) == 0);
		flushed(run, o, true);
	}
	return 0;
}

/* --- creation --- */

static int make_bound(struct run *run, uint32_t object, const char *name)
{
	struct power_object *o = at(run, object);
	size_t bytes = (size_t)o->pages * POWER_PAGE;
	AUTO_FREE uint64_t *words = malloc(bytes);
	AUTO_CLOSE int file = -1;
	AUTO_CLOSE int directory = -1;
	struct mapping_attributes a = {.type = MAPPING_MAPPING, .bind = true};
	char path[300], ext[300];

	power_external(run->power, run->client->id, object, path, sizeof path);
	snprintf(ext, sizeof ext, "%s/ext", run->power->fs);
	file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	directory = open(ext, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(file >= 0 && directory >= 0);
	fill(run, object, 0, words, o->pages);
	CHECK(pwrite(file, words, bytes, 0) == (ssize_t)bytes);
	CHECK(fsync(file) == 0 && fsync(directory) == 0);
	a.file_fd = file;
	o->version_from[o->versions++] = now(run);
	CHECK(mapping_create(run->mount, name, &a, O_RDWR, NULL, NULL) == 0);
	return 0;
}

static int make_file(struct run *run, uint32_t object, const char *path)
{
	struct power_object *o = at(run, object);
	AUTO_CLOSE int fd = -1;

	if (o->kind == POWER_HIDDEN) {
		CHECK(object_create(run->power->mnt, path, 0600, WIRE_SET_SIZE | WIRE_SPARSE,
				    o->pages * POWER_PAGE, -1) == 0);
		fd = open(path, O_RDWR | O_CLOEXEC);
	} else {
		fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	}
	CHECK(fd >= 0);
	CHECK(begin_version(run, object, fd) == 0);
	if (o->kind == POWER_TEMPORARY) {
		CHECK(fsync(fd) == 0);
		return 0;
	}
	if (draw(run, 2)) {
		CHECK(fsync(fd) == 0);
		flushed(run, o, true);
	}
	return 0;
}

static int make_by_library(struct run *run, uint32_t object, const char *path)
{
	struct power_object *o = at(run, object);
	struct mapping_attributes a = {.type = MAPPING_MAPPING, .set_size = true, .sparse = true};
	AUTO_CLOSE int fd = -1;

	a.size = (uint64_t)o->pages * POWER_PAGE;
	if (o->kind == POWER_SEMAPHORE)
		a = (struct mapping_attributes){
		    .type = MAPPING_SEMAPHORE, .initial = 1, .maximum = POWER_MAXIMUM};
	CHECK(mapping_create(run->mount, path, &a, O_RDWR, &fd, NULL) == 0);
	CHECK(begin_version(run, object, fd) == 0);
	if (draw(run, 2)) {
		CHECK(fsync(fd) == 0);
		flushed(run, o, true);
	}
	return 0;
}

static int new_directory(struct run *run, char *name, size_t size)
{
	char path[300];

	snprintf(name, size, "c%u/n%u", run->client->id, run->directories++);
	snprintf(path, sizeof path, "%s/%s", run->power->mnt, name);
	CHECK(mkdir(path, 0755) == 0);
	return 0;
}

static int choose_directory(struct run *run, enum power_kind kind, char *name, size_t size)
{
	static const char *const usual[] = {"a", "b", "l"};

	if (kind != POWER_TEMPORARY && draw(run, 4) == 0)
		return new_directory(run, name, size);
	snprintf(name, size, "c%u/%s", run->client->id,
		 kind == POWER_TEMPORARY ? "t" : usual[draw(run, 3)]);
	return 0;
}

static int create(struct run *run)
{
	uint32_t object = run->client->count;
	struct power_object *o = at(run, object);
	enum power_kind kind = draw(run, POWER_KINDS);
	char directory[40], path[300];

	CHECK(choose_directory(run, kind, directory, sizeof directory) == 0);
	*o = (struct power_object){.kind = kind,
				   .pages = 1 + draw(run, 5),
				   .gone_from = POWER_NEVER,
				   .gone_to = POWER_NEVER};
	snprintf(o->names[0].path, sizeof o->names[0].path, "%s/o%u", directory, object);
	o->names[0].from = now(run);
	o->name_count = 1;
	run->client->count++;
	full_path(run, o, path, sizeof path);
	if (kind == POWER_BOUND)
		CHECK(make_bound(run, object, path) == 0);
	else if (kind == POWER_MADE || kind == POWER_SEMAPHORE)
		CHECK(make_by_library(run, object, path) == 0);
	else
		CHECK(make_file(run, object, path) == 0);
	if (kind != POWER_TEMPORARY)
		run->live[run->live_count++] = object;
	return 0;
}

/* --- names --- */

static int sync_directory_of(const char *path)
{
	char parent[300];
	AUTO_CLOSE int fd = -1;

	snprintf(parent, sizeof parent, "%s", path);
	*strrchr(parent, '/') = '\0';
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(fsync(fd) == 0);
	return 0;
}

/* What is charged for does not leave its limit. */
static void same_or_other(struct run *run, const struct power_object *o, char *directory,
			  size_t size)
{
	const char *path = o->names[o->name_count - 1].path, *slash = strrchr(path, '/');

	if (slash[-1] == 'l' || draw(run, 3) == 0)
		snprintf(directory, size, "%.*s", (int)(slash - path), path);
	else
		snprintf(directory, size, "c%u/%s", run->client->id, draw(run, 2) ? "a" : "b");
}

static int rename_one(struct run *run, uint32_t object)
{
	struct power_object *o = at(run, object);
	char from[300], to[300], directory[40];
	uint32_t n = o->name_count;

	if (n == POWER_NAMES || !room_to_flush(o))
		return 0;
	full_path(run, o, from, sizeof from);
	same_or_other(run, o, directory, sizeof directory);
	snprintf(o->names[n].path, sizeof o->names[n].path, "%s/o%u.%u", directory, object, n);
	o->names[n].from = now(run);
	o->name_count = n + 1;
	full_path(run, o, to, sizeof to);
	CHECK(rename(from, to) == 0);
	if (draw(run, 2)) {
		CHECK(sync_directory_of(to) == 0);
		flushed(run, o, false);
	}
	return 0;
}

static bool has_been_flushed(const struct power_object *o)
{
	return o->flush_count && o->kind != POWER_SEMAPHORE && o->kind != POWER_BOUND &&
	       o->flushes[o->flush_count - 1].version >= 0;
}

/* Over the name of another one. Who has the name is told by the content, so both have some. */
static int replace(struct run *run, uint32_t object, uint32_t victim_at)
{
	struct power_object *o = at(run, object), *victim = at(run, run->live[victim_at]);
	char from[300], to[300];
	uint32_t n = o->name_count;

	if (o == victim || n == POWER_NAMES || !has_been_flushed(o) || !has_been_flushed(victim) ||
	    !room_to_flush(o))
		return 0;
	if (strstr(o->names[n - 1].path, "/l/") ||
	    strstr(victim->names[victim->name_count - 1].path, "/l/"))
		return 0;
	full_path(run, o, from, sizeof from);
	memcpy(o->names[n].path, victim->names[victim->name_count - 1].path,
	       sizeof o->names[n].path);
	victim->gone_from = o->names[n].from = now(run);
	o->name_count = n + 1;
	full_path(run, o, to, sizeof to);
	CHECK(rename(from, to) == 0);
	run->live[victim_at] = run->live[--run->live_count];
	if (draw(run, 2)) {
		CHECK(sync_directory_of(to) == 0);
		flushed(run, o, false);
		victim->gone_to = now(run);
	}
	return 0;
}

static int remove_one(struct run *run, uint32_t live)
{
	struct power_object *o = at(run, run->live[live]);
	char path[300];

	full_path(run, o, path, sizeof path);
	run->live[live] = run->live[--run->live_count];
	o->gone_from = now(run);
	CHECK(unlink(path) == 0);
	if (draw(run, 2)) {
		CHECK(sync_directory_of(path) == 0);
		o->gone_to = now(run);
	}
	return 0;
}

/* Every name of a live object below `from` changes. False: one has had too many. */
static bool note_moved(struct run *run, const char *from, const char *to)
{
	size_t length = strlen(from);

	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < run->live_count; i++) {
			struct power_object *o = at(run, run->live[i]);
			char path[sizeof o->names[0].path];

			memcpy(path, o->names[o->name_count - 1].path, sizeof path);
			if (strncmp(path, from, length) != 0 || path[length] != '/')
				continue;
			if (pass == 0 && o->name_count == POWER_NAMES)
				return false;
			if (pass == 0)
				continue;
			snprintf(o->names[o->name_count].path, sizeof o->names[0].path, "%s%s", to,
				 path + length);
			o->names[o->name_count++].from = now(run);
		}
	}
	return true;
}

/* The object itself is as it was: the disk has it already, but not under this name. */
static int move_directory(struct run *run, uint32_t object)
{
	struct power_object *o = at(run, object);
	const char *path = o->names[o->name_count - 1].path, *slash = strrchr(path, '/');
	char from[40], to[40], full_from[300], full_to[300];
	AUTO_CLOSE int fd = -1;

	snprintf(from, sizeof from, "%.*s", (int)(slash - path), path);
	if (!strchr(from, 'n') || !room_to_flush(o))
		return 0;
	snprintf(to, sizeof to, "c%u/n%u", run->client->id, run->directories++);
	if (!note_moved(run, from, to))
		return 0;
	snprintf(full_from, sizeof full_from, "%s/%s", run->power->mnt, from);
	snprintf(full_to, sizeof full_to, "%s/%s", run->power->mnt, to);
	CHECK(rename(full_from, full_to) == 0);
	full_path(run, o, full_to, sizeof full_to);
	o->used = true;
	fd = open(full_to, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CHECK(fd >= 0);
	CHECK(fsync(fd) == 0);
	flushed(run, o, true);
	return 0;
}

/* --- the whole --- */

static int prepare(struct run *run)
{
	static const char *const names[] = {"", "/a", "/b", "/l", "/t"};
	char path[5][300], limit[24];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path[i], sizeof path[i], "%s/c%u%s", run->power->mnt, run->client->id,
			 names[i]);
		CHECK(mkdir(path[i], 0755) == 0);
	}
	snprintf(limit, sizeof limit, "%llu", POWER_LIMIT);
	CHECK(setxattr(path[3], "user.mapping.limit", limit, strlen(limit), 0) == 0);
	CHECK(setxattr(path[4], "user.mapping.lifetime", "temporary", 9, 0) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		AUTO_CLOSE int fd = open(path[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		CHECK(fd >= 0);
		CHECK(fsync(fd) == 0);
	}
	run->client->ready = now(run);
	return 0;
}

static int step(struct run *run)
{
	uint32_t live = run->live_count ? draw(run, run->live_count) : 0, what = draw(run, 11);

	run->client->operations++;
	if (run->live_count == 0 || (what < 3 && run->live_count < POWER_LIVE))
		return create(run);
	if (what < 6)
		return modify(run, run->live[live]);
	if (what < 8)
		return rename_one(run, run->live[live]);
	if (what == 8)
		return replace(run, run->live[live], draw(run, run->live_count));
	if (what == 9)
		return move_directory(run, run->live[live]);
	return remove_one(run, live);
}

int power_client_run(void *context)
{
	const struct power_run *given = context;
	struct run run = {.power = given->power, .client = &given->power->clients[given->id]};

	CHECK(mapping_mount_find(run.power->mnt, &run.mount, NULL) == 0);
	CHECK(prepare(&run) == 0);
	while (!run.power->stop && run.client->count < POWER_OBJECTS)
		CHECK(step(&run) == 0);
	mapping_mount_close(run.mount);
	return 0;
}
