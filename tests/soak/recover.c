/* After a SIGKILL: what the journal leaves open is found out, and must be one of the two. */
#include "tests/soak/model.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "core/util.h"

#define WHOSE(load) (load)->mount, (load)->number

int waitable_value(int directory, const char *name)
{
	AUTO_CLOSE int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
	char text[96] = "";
	unsigned value;

	if (fd < 0 || fgetxattr(fd, "user.mapping.state", text, sizeof text - 1) < 0)
		return -1;
	if (sscanf(text, "%u of", &value) == 1)
		return (int)value;
	return strncmp(text, "signaled", 8) == 0;
}

/* --- names --- */

static const char *both_match(int directory, const struct journal *j, const struct entry *k,
			      const struct entry *l, const struct entry *k_also)
{
	const char *wrong = entry_check(directory, j->k, k, k_also);

	return wrong || j->k == j->l ? wrong : entry_check(directory, j->l, l, NULL);
}

static int recover_names(struct load *load, int directory)
{
	struct journal *j = &load->journal;
	const struct entry *before = &load->names[j->k];
	/* A content being written anew: each word is the old or the new one. */
	bool writing = before->exists && j->k_after.exists && before->pages == j->k_after.pages &&
		       before->stamp != j->k_after.stamp;
	const char *not_before =
	    both_match(directory, j, before, &load->names[j->l], writing ? &j->k_after : NULL);
	const char *not_after =
	    writing ? not_before : both_match(directory, j, &j->k_after, &j->l_after, NULL);

	if (not_before && not_after) {
		soak_violation("mount %u load %u: %s (and %s), killed at it, is neither as before "
			       "(%s) nor as after (%s)",
			       WHOSE(load), name_of(j->k), name_of(j->l), not_before, not_after);
		return -1;
	}
	if (writing) {
		AUTO_CLOSE int fd = openat(directory, name_of(j->k), O_RDWR | O_CLOEXEC);

		if (fd < 0 || content_write(fd, &j->k_after, true) < 0) {
			soak_violation("mount %u load %u: %s cannot be written again: %s",
				       WHOSE(load), name_of(j->k), strerror(errno));
			return -1;
		}
	}
	if (writing || !not_after)
		journal_done(load);
	else
		journal_refused(load);
	return 0;
}

/* --- objects to wait on --- */

static int recover_value(struct load *load, int directory, const char *name, unsigned before)
{
	int value = waitable_value(directory, name);

	if (value == (int)load->journal.value) {
		journal_done(load);
	} else if (value == (int)before) {
		journal_refused(load);
	} else {
		soak_violation("mount %u load %u: %s is at %d, not at %u as before or %u as after",
			       WHOSE(load), name, value, before, load->journal.value);
		return -1;
	}
	return 0;
}

/* --- scratch: nothing in there is anybody's --- */

static int empty(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (rc == 0 && (entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT)
			continue; /* temporary objects go by themselves */
		rc = errno == EISDIR ? empty(fd, entry->d_name) : -errno;
		if (rc == 0 && unlinkat(fd, entry->d_name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			rc = -errno;
	}
	closedir(dir);
	return rc;
}

int scratch_empty(int directory)
{
	return empty(directory, "scratch");
}

static int recover_journal(struct load *load, struct common *common, int directory)
{
	switch (load->journal.kind) {
	case JOURNAL_NAMES:
		return recover_names(load, directory);
	case JOURNAL_SEMAPHORE:
		return recover_value(load, directory, "semaphore", load->semaphore);
	case JOURNAL_EVENT:
		return recover_value(load, directory, "event", load->event);
	case JOURNAL_TAKE:
		__atomic_add_fetch(&common->lost_tokens, 1, __ATOMIC_SEQ_CST);
		journal_refused(load);
		return 0;
	case JOURNAL_GIVE: /* taken for given */
		__atomic_add_fetch(&common->lost_tokens, 1, __ATOMIC_SEQ_CST);
		journal_done(load);
		return 0;
	case JOURNAL_LOCK:
		__atomic_add_fetch(&common->lock_deaths, 1, __ATOMIC_SEQ_CST);
		journal_refused(load);
		return 0;
	}
	return 0;
}

int recover(struct load *load, struct common *common, int directory)
{
	int rc = recover_journal(load, common, directory);

	if (rc < 0)
		return rc;
	rc = scratch_empty(directory);
	if (rc < 0)
		soak_violation("mount %u load %u: scratch cannot be emptied: %s", WHOSE(load),
			       strerror(-rc));
	return rc;
}

/* --- all of it --- */

static int open_directory(const struct load *load, const struct common *common)
{
	char path[SOAK_PATH + 32];
	int fd;

	snprintf(path, sizeof path, "%s/load%u", common->path, load->number);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		soak_violation("mount %u load %u: %s: %s", WHOSE(load), path, strerror(errno));
	return fd;
}

static void verify_value(const struct load *load, int directory, const char *name, unsigned value)
{
	int is = waitable_value(directory, name);

	if (is != (int)value)
		soak_violation("mount %u load %u: %s is at %d, should be %u", WHOSE(load), name, is,
			       value);
}

static unsigned names_there(int directory)
{
	int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;
	unsigned count = 0;

	while (dir && (entry = readdir(dir)))
		count += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

/* Empty, but for what a Python program of a killed load made after its end. */
static void verify_scratch(const struct load *load, int directory)
{
	int fd = openat(directory, "scratch", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (strncmp(entry->d_name, "python", 6) != 0)
			soak_violation("mount %u load %u: scratch/%s is left", WHOSE(load),
				       entry->d_name);
		unlinkat(fd, entry->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

void verify_load(const struct load *load, const struct common *common)
{
	AUTO_CLOSE int directory = open_directory(load, common);
	unsigned expected = 3; /* scratch, semaphore, event */

	if (directory < 0)
		return;
	for (unsigned k = 0; k < SOAK_NAMES; k++) {
		const char *wrong = entry_check(directory, k, &load->names[k], NULL);

		expected += load->names[k].exists;
		if (wrong)
			soak_violation("mount %u load %u: %s: %s", WHOSE(load), name_of(k), wrong);
	}
	if (names_there(directory) != expected)
		soak_violation("mount %u load %u: %u names are there, not %u", WHOSE(load),
			       names_there(directory), expected);
	verify_scratch(load, directory);
	verify_value(load, directory, "semaphore", load->semaphore);
	verify_value(load, directory, "event", load->event);
}

void remove_load(struct load *load, const struct common *common)
{
	AUTO_CLOSE int directory = open_directory(load, common);

	for (unsigned k = 0; k < SOAK_NAMES && directory >= 0; k++) {
		if (load->names[k].exists && unlinkat(directory, name_of(k), 0) < 0)
			soak_violation("mount %u load %u: %s cannot be removed: %s", WHOSE(load),
				       name_of(k), strerror(errno));
		load->names[k] = (struct entry){0};
	}
}
