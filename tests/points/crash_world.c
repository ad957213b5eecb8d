/* Making what the words say, and removing it. */
#include "tests/points/crash_world.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define MAX_WORDS 6

/* --- making --- */

static void make_file(struct world *w, char **words)
{
	AUTO_CLOSE int fd = openat(w->dir, words[1], O_CREAT | O_EXCL | O_WRONLY, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, words[1], strlen(words[1])), strlen(words[1]));
}

static void make_dir(struct world *w, char **words)
{
	assert_int_equal(mkdirat(w->dir, words[1], 0755), 0);
}

static void make_symlink(struct world *w, char **words)
{
	assert_int_equal(symlinkat("nowhere", w->dir, words[1]), 0);
}

static void make_link(struct world *w, char **words)
{
	assert_int_equal(linkat(w->dir, words[1], w->dir, words[2], 0), 0);
}

static const char *path_of(const struct world *w, const char *name)
{
	return sys_path(w->sys, "%s/%s", w->name, name);
}

static void set_xattr(struct world *w, const char *name, const char *xattr, const char *value)
{
	assert_int_equal(setxattr(path_of(w, name), xattr, value, strlen(value), 0), 0);
}

static void make_xattr(struct world *w, char **words)
{
	set_xattr(w, words[1], "user.x", "old");
}

static void make_limit(struct world *w, char **words)
{
	set_xattr(w, words[1], "user.mapping.limit", words[2]);
}

static void make_lifetime(struct world *w, char **words)
{
	set_xattr(w, words[1], "user.mapping.lifetime", words[2]);
}

static void make_mode(struct world *w, char **words)
{
	assert_int_equal(fchmodat(w->dir, words[1], (mode_t)strtoul(words[2], NULL, 8), 0), 0);
}

static void make_grown(struct world *w, char **words)
{
	assert_int_equal(truncate(path_of(w, words[1]), atol(words[2])), 0);
}

static void make_object(struct world *w, const char *name,
			const struct mapping_attributes *attributes)
{
	struct mapping_error error;
	char path[64];

	snprintf(path, sizeof path, "%s/%s", w->name, name);
	if (mapping_create(w->mount, path, attributes, 0, NULL, &error) < 0)
		fail_msg("%s: %s", name, error.text);
}

static bool has_word(char **words, const char *word)
{
	for (; *words; words++)
		if (strcmp(*words, word) == 0)
			return true;
	return false;
}

static void make_waitable(struct world *w, char **words)
{
	struct mapping_attributes a = {.type = mapping_type_of(words[0]),
				       .manual = has_word(words, "manual"),
				       .signaled = has_word(words, "set"),
				       .kill_on_close = has_word(words, "kill")};

	if (a.type == MAPPING_SEMAPHORE) {
		a.initial = (uint32_t)atoi(words[2]);
		a.maximum = (uint32_t)atoi(words[3]);
	}
	make_object(w, words[1], &a);
}

static void make_passing(struct world *w, char **words)
{
	bool temporary = strcmp(words[0], "temporary") == 0;

	make_object(w, words[1],
		    &(struct mapping_attributes){.lifetime = temporary ? MAPPING_TEMPORARY
								       : MAPPING_HANDLE_BOUND,
						 .set_size = true,
						 .size = (uint64_t)atol(words[2])});
}

static void make_bound(struct world *w, char **words)
{
	AUTO_CLOSE int fd = openat(w->outside, words[2], O_RDWR);

	assert_true(fd >= 0);
	make_object(w, words[1], &(struct mapping_attributes){.bind = true, .file_fd = fd});
}

static void make_outside(struct world *w, char **words)
{
	AUTO_CLOSE int fd = openat(w->outside, words[1], O_CREAT | O_EXCL | O_RDWR, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, atol(words[2])), 0);
}

static void make_handle(struct world *w, char **words)
{
	int at = 0;

	while (w->fds[at] >= 0)
		at++;
	assert_true(at < WORLD_FDS);
	w->fds[at] = openat(w->dir, words[1], O_RDWR | O_CLOEXEC);
	assert_true(w->fds[at] >= 0);
}

static void make_view(struct world *w, char **words)
{
	AUTO_CLOSE int fd = openat(w->dir, words[1], O_RDWR | O_CLOEXEC);

	w->view = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(w->view != MAP_FAILED);
	*(volatile char *)w->view = 'v';
}

static void make_words(struct world *w, char **words)
{
	AUTO_CLOSE int own = -1;
	char line[64] = "";
	int fd;

	for (char **word = words + 2; *word; word++) {
		strcat(line, *word);
		strcat(line, word[1] ? " " : "\n");
	}
	fd = words[1][0] == '@' ? w->fds[atoi(words[1] + 1)]
				: (own = openat(w->dir, words[1], O_WRONLY | O_CLOEXEC));
	assert_int_equal(pwrite(fd, line, strlen(line), 0), strlen(line));
}

static void make_taken(struct world *w, char **words)
{
	char line[32];

	assert_true(pread(w->fds[atoi(words[1] + 1)], line, sizeof line, 0) > 0);
}

static int wait_to_be_killed(void *context)
{
	(void)context;
	pause();
	return 1;
}

static void make_child(struct world *w, char **words)
{
	(void)words;
	w->child = sys_fork(w->sys, wait_to_be_killed, NULL);
}

static const struct {
	const char *word;
	void (*make)(struct world *w, char **words);
} makers[] = {
    {"file", make_file},          {"dir", make_dir},
    {"symlink", make_symlink},    {"link", make_link},
    {"xattr", make_xattr},        {"mode", make_mode},
    {"grow", make_grown},         {"limit", make_limit},
    {"lifetime", make_lifetime},  {"event", make_waitable},
    {"semaphore", make_waitable}, {"mutex", make_waitable},
    {"timer", make_waitable},     {"job", make_waitable},
    {"temporary", make_passing},  {"handle", make_passing},
    {"bound", make_bound},        {"outside", make_outside},
    {"open", make_handle},        {"view", make_view},
    {"words", make_words},        {"take", make_taken},
    {"child", make_child},
};

static void make_one(struct world *w, char *text)
{
	char *words[MAX_WORDS + 1] = {NULL}, *rest = NULL;
	size_t count = 0;

	for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		assert_true(count < MAX_WORDS);
		words[count++] = word;
	}
	for (size_t i = 0; count && i < ARRAY_SIZE(makers); i++) {
		if (strcmp(makers[i].word, words[0]) != 0)
			continue;
		makers[i].make(w, words);
		return;
	}
	if (count)
		fail_msg("no maker of \"%s\"", words[0]);
}

void world_make(struct world *world, struct sys *sys, struct mapping_mount *mount,
		const char *words)
{
	static unsigned number;
	AUTO_FREE char *copy = strdup(words);
	char *rest = NULL, path[128];

	*world = (struct world){.sys = sys, .mount = mount, .fds = {-1, -1, -1, -1}};
	snprintf(world->name, sizeof world->name, "r%u", number++);
	assert_int_equal(mkdir(sys_path(sys, "%s", world->name), 0755), 0);
	world->dir = open(sys_path(sys, "%s", world->name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof path, "%s/outside", sys->dir);
	mkdir(path, 0755);
	world->outside = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(world->dir >= 0 && world->outside >= 0);
	for (char *one = strtok_r(copy, ";", &rest); one; one = strtok_r(NULL, ";", &rest))
		make_one(world, one);
}

/* --- removing --- */

static int remove_below(int dir)
{
	AUTO_CLOSE int copy = -1;
	struct dirent *entry;
	DIR *stream;
	int rc = 0;

	copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	stream = copy < 0 ? NULL : fdopendir(copy);
	if (!stream)
		return -errno;
	copy = -1;
	while ((entry = readdir(stream))) {
		AUTO_CLOSE int below = -1;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dir, entry->d_name, 0) == 0 || errno == ENOENT)
			continue;
		below = openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (below < 0 || remove_below(below) < 0 ||
		    unlinkat(dir, entry->d_name, AT_REMOVEDIR) < 0)
			rc = -EIO;
	}
	closedir(stream);
	return rc;
}

bool world_remove(struct world *world)
{
	bool removed;

	for (size_t i = 0; i < WORLD_FDS; i++)
		cleanup_close(&world->fds[i]);
	if (world->view)
		munmap(world->view, 2 * PAGE_BYTES);
	if (world->child)
		sys_kill(world->sys, world->child);
	removed = remove_below(world->dir) == 0 && remove_below(world->outside) == 0;
	close(world->dir);
	close(world->outside);
	return rmdir(sys_path(world->sys, "%s", world->name)) == 0 && removed;
}
