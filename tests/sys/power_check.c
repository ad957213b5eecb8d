/* A store after a loss of power against the model. */
#include "tests/sys/power_model.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

struct view { /* of one object at the moment of the cut */
	const struct power *power;
	unsigned client;
	uint32_t object;
	const struct power_object *o;
	int flushed, latest;  /* versions; -1: none */
	uint32_t first, last; /* names it may have */
	bool must, may;       /* be there */
	char found[300];      /* where it is; "" */
};

#define COMPLAIN(view, ...)                                                                        \
	do {                                                                                       \
		sys_say(__VA_ARGS__);                                                              \
		complain(view);                                                                    \
	} while (0)

static void complain(const struct view *v)
{
	fail_msg("object %u of client %u (kind %d, %u names, version %d flushed, %d begun)",
		 v->object, v->client, v->o->kind, v->o->name_count, v->flushed, v->latest);
}

static void look_back(struct view *v, uint64_t position)
{
	const struct power_object *o = v->o;

	v->flushed = v->latest = -1;
	v->first = v->last = 0;
	v->must = false;
	for (uint32_t i = 0; i < o->versions; i++)
		if (o->version_from[i] <= position)
			v->latest = (int)i;
	for (uint32_t i = 0; i < o->name_count; i++)
		if (o->names[i].from <= position)
			v->last = i;
	for (uint32_t i = 0; i < o->flush_count; i++) {
		if (o->flushes[i].to > position)
			continue;
		v->must = true;
		v->first = o->flushes[i].name > v->first ? o->flushes[i].name : v->first;
		if (o->flushes[i].version > v->flushed)
			v->flushed = o->flushes[i].version;
	}
	v->must = v->must && o->gone_from > position;
	v->may =
	    o->names[0].from <= position && o->gone_to > position && o->kind != POWER_TEMPORARY;
}

/* --- where it is --- */

/* Is the file at path this object? One without content is who its name says. */
static bool is_it(const struct view *v, const char *path)
{
	uint64_t word = 0, wanted = power_word(v->client, v->object, 0, 0, 0);
	struct stat st;
	int fd;

	if (lstat(path, &st) < 0)
		return false;
	if (v->o->kind == POWER_SEMAPHORE || st.st_size == 0)
		return true;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		COMPLAIN(v, "%s: %s", path, strerror(errno));
	if (pread(fd, &word, sizeof word, 0) < 0)
		COMPLAIN(v, "%s: %s", path, strerror(errno));
	close(fd);
	return word == wanted || word == 0;
}

static void find(struct view *v)
{
	v->found[0] = '\0';
	for (uint32_t i = 0; i <= v->last; i++) {
		char path[300];

		snprintf(path, sizeof path, "%s/%s", v->power->mnt, v->o->names[i].path);
		if (!is_it(v, path))
			continue;
		if (v->found[0])
			COMPLAIN(v, "two names: %s and %s", v->found, path);
		if (i < v->first)
			COMPLAIN(v, "a name that it had lost for good: %s", path);
		strcpy(v->found, path);
	}
}

/* --- what it is like --- */

static bool text_is(const char *path, const char *name, const char *wanted)
{
	AUTO_FREE char *text = sys_xattr(path, name);

	if (text && strcmp(text, wanted) == 0)
		return true;
	sys_say("%s: %s is \"%s\", not \"%s\"", path, name, text ? text : strerror(errno), wanted);
	return false;
}

static bool word_is_possible(const struct view *v, uint32_t index, uint64_t word)
{
	const uint32_t per_page = POWER_PAGE / 8;

	for (int version = v->flushed < 0 ? 0 : v->flushed; version <= v->latest; version++)
		if (word == power_word(v->client, v->object, (uint32_t)version, index / per_page,
				       index % per_page))
			return true;
	return v->flushed < 0 && word == 0;
}

static void check_content(const struct view *v, struct power_seen *seen)
{
	size_t bytes = (size_t)v->o->pages * POWER_PAGE;
	AUTO_FREE uint64_t *words = calloc(1, bytes);
	AUTO_CLOSE int fd = open(v->found, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : pread(fd, words, bytes, 0);

	if (got < 0 || (v->flushed >= 0 && got != (ssize_t)bytes))
		COMPLAIN(v, "%s: %zd bytes of %zu: %s", v->found, got, bytes, strerror(errno));
	for (uint32_t i = 0; i < (uint32_t)got / 8; i++)
		if (!word_is_possible(v, i, words[i]))
			COMPLAIN(v, "%s: word %u is %llx", v->found, i,
				 (unsigned long long)words[i]);
	seen->bytes += (uint64_t)got;
}

static void check_semaphore(const struct view *v)
{
	AUTO_FREE char *text = sys_xattr(v->found, "user.mapping.state");
	unsigned count = 0, maximum = 0;
	unsigned least = 1 + (unsigned)(v->flushed < 0 ? 0 : v->flushed);

	if (!text || sscanf(text, "%u of %u", &count, &maximum) != 2 || maximum != POWER_MAXIMUM ||
	    count < least || count > 1 + (unsigned)(v->latest < 0 ? 0 : v->latest))
		COMPLAIN(v, "%s: state \"%s\"", v->found, text ? text : strerror(errno));
}

/* Attributes that were there before the name. */
static void check_creation(const struct view *v)
{
	const char *type = v->o->kind == POWER_SEMAPHORE ? "semaphore" : "mapping";
	char path[300] = "file:";
	struct stat st;

	if (!text_is(v->found, "user.mapping.type", type) ||
	    !text_is(v->found, "user.mapping.lifetime", "permanent"))
		complain(v);
	if (v->o->kind != POWER_MADE && v->o->kind != POWER_HIDDEN && v->o->kind != POWER_BOUND)
		return;
	if (stat(v->found, &st) < 0 || st.st_size != (off_t)v->o->pages * POWER_PAGE)
		COMPLAIN(v, "%s: %lld bytes", v->found, (long long)st.st_size);
	power_external(v->power, v->client, v->object, path + 5, sizeof path - 5);
	if (!text_is(v->found, "user.mapping.backing", v->o->kind == POWER_BOUND ? path : "sparse"))
		complain(v);
}

static void check_attributes(const struct view *v)
{
	char text[16];
	struct stat st;

	if (v->flushed != v->latest || v->o->kind == POWER_SEMAPHORE ||
	    (v->o->kind == POWER_BOUND && v->flushed == 0))
		return;
	snprintf(text, sizeof text, "%d", v->flushed);
	if (!text_is(v->found, "user.version", text))
		complain(v);
	if (stat(v->found, &st) < 0 || (st.st_mode & 0777) != power_mode((uint32_t)v->flushed))
		COMPLAIN(v, "%s: mode %o", v->found, st.st_mode);
}

static void check_one(struct view *v, uint64_t position, struct power_seen *seen)
{
	look_back(v, position);
	find(v);
	if (v->must && !v->found[0])
		COMPLAIN(v, "it was flushed as %s, and is not there", v->o->names[v->last].path);
	if (!v->may && v->found[0])
		COMPLAIN(v, "%s must not be there", v->found);
	seen->gone += !v->may && v->o->gone_to <= position;
	if (!v->found[0])
		return;
	seen->objects++;
	seen->flushed += v->must;
	seen->bound += v->o->kind == POWER_BOUND;
	check_creation(v);
	if (v->o->kind == POWER_SEMAPHORE)
		check_semaphore(v);
	else
		check_content(v, seen);
	if (v->flushed >= 0)
		check_attributes(v);
}

/* --- the whole --- */

static uint64_t files;

static int count_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	if (strstr(path, "/.mapping-"))
		fail_msg("left from a creation: %s", path);
	files += type == FTW_F && S_ISREG(st->st_mode) && strcmp(path + at->base, ".control") != 0;
	return 0;
}

static uint64_t entries(const char *fs, const char *name)
{
	char path[200];
	struct dirent *entry;
	uint64_t count = 0;
	DIR *directory;

	snprintf(path, sizeof path, "%s/store/%s", fs, name);
	directory = opendir(path);
	while (directory && (entry = readdir(directory)))
		count += entry->d_name[0] != '.';
	if (directory)
		closedir(directory);
	return count;
}

static void check_directories(const struct power *power, unsigned client)
{
	char path[2][300], limit[24];
	uint64_t charged = 0;

	for (int i = 0; i < 2; i++)
		snprintf(path[i], sizeof path[i], "%s/c%u/%c", power->mnt, client, "lt"[i]);
	snprintf(limit, sizeof limit, "%llu", POWER_LIMIT);
	assert_true(text_is(path[0], "user.mapping.limit", limit));
	assert_true(text_is(path[1], "user.mapping.lifetime", "temporary"));
	for (uint32_t i = 0; i < power->clients[client].count; i++) {
		const struct power_object *o = &power->clients[client].objects[i];
		struct stat st;

		if (o->kind == POWER_BOUND || o->kind == POWER_SEMAPHORE ||
		    !strstr(o->names[0].path, "/l/"))
			continue;
		for (uint32_t n = 0; n < o->name_count; n++) {
			char name[300];

			snprintf(name, sizeof name, "%s/%s", power->mnt, o->names[n].path);
			if (stat(name, &st) == 0)
				charged += page_round_up((uint64_t)st.st_size);
		}
	}
	snprintf(limit, sizeof limit, "%llu", (unsigned long long)charged);
	assert_true(text_is(path[0], "user.mapping.commit", limit));
}

void power_check(const struct power *power, uint64_t position, struct power_seen *seen)
{
	uint64_t objects = seen->objects, bound = seen->bound;

	for (unsigned c = 0; c < POWER_CLIENTS; c++) {
		for (uint32_t i = 0; i < power->clients[c].count; i++) {
			struct view v = {.power = power,
					 .client = c,
					 .object = i,
					 .o = &power->clients[c].objects[i]};
			check_one(&v, position, seen);
		}
		if (power->clients[c].ready <= position)
			check_directories(power, c);
	}
	files = 0;
	assert_int_equal(nftw(power->mnt, count_file, 16, FTW_PHYS), 0);
	assert_int_equal(files, seen->objects - objects);
	assert_int_equal(entries(power->fs, "orphans"), 0);
	assert_int_equal(entries(power->fs, "bindings"), seen->bound - bound);
}
