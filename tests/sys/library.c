#include "tests/sys/library.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

void library_check_refusal(const char *file, int line, int rc, int wanted,
			   const struct mapping_error *error, const char *words, int fds_before)
{
	int fds = sys_count_fds(getpid());

	if (rc != -wanted || error->code != wanted)
		fail_msg("%s:%d: returned %d, told %d (%s); wanted %d", file, line, rc, error->code,
			 error->text, -wanted);
	if (!strstr(error->text, words))
		fail_msg("%s:%d: \"%s\" does not say \"%s\"", file, line, error->text, words);
	if (fds != fds_before)
		fail_msg("%s:%d: %d descriptors, %d before", file, line, fds, fds_before);
}

struct mapping_mount *library_mount(struct sys *sys, const char *options)
{
	struct mapping_mount *mount;

	sys_mount(sys, options);
	DONE(mapping_mount_find(sys->mnt, &mount, e));
	return mount;
}

int library_make(const struct mapping_mount *mount, const char *name,
		 struct mapping_attributes attributes)
{
	int fd;

	attributes.set_mode = true;
	attributes.mode = 0644;
	DONE(mapping_create(mount, name, &attributes, O_RDWR, &fd, e));
	return fd;
}

struct mapping_info library_info(const struct mapping_mount *mount, const char *name)
{
	struct mapping_info info;

	DONE(mapping_get(mount, name, &info, e));
	return info;
}

static int is_wanted(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
	       strcmp(entry->d_name, ".control") != 0;
}

const char *library_names(struct sys *sys)
{
	static char names[1024];
	struct dirent **entries;
	int count = scandir(sys->mnt, &entries, is_wanted, alphasort);

	assert_true(count >= 0);
	names[0] = '\0';
	for (int i = 0; i < count; i++) {
		size_t length = strlen(names);

		snprintf(names + length, sizeof names - length, "%s ", entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	return names;
}
