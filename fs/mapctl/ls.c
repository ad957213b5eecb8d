/* mapctl ls: a directory's objects as one table, sorted by name. */
#include "fs/mapctl/mapctl.h"

#include "core/util.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { RECURSIVE, ALL, COUNT };

static const struct mapctl_option options[] = {
    [RECURSIVE] = {"recursive", 'R', NULL, "directories below too"},
    [ALL] = {"all", 'a', NULL, "names that begin with a dot too"},
    [COUNT] = {0},
};

static const char *const titles[] = {"TYPE",    "SIZE",     "COMMITTED", "RESIDENT",
				     "BACKING", "LIFETIME", "HANDLES",   "VIEWS",
				     "FLUSHED", "STATE",    "NAME"};

struct listing {
	const struct mapctl *mapctl;
	struct table *table;
	json_t *json;
	int code;
};

static void add(struct listing *listing, const char *name, const struct mapping_info *info)
{
	char size[FORMAT_ROOM], committed[FORMAT_ROOM], resident[FORMAT_ROOM];
	char handles[FORMAT_ROOM], views[FORMAT_ROOM], flush[FLUSH_ROOM];
	const bool is_waitable = info->type > MAPPING_MAPPING;
	const bool has_pages = S_ISREG(info->mode) && !is_waitable;
	const char *const cells[] = {
	    info->type_name,
	    has_pages ? format_size(info->size, size) : "-",
	    format_size(info->committed, committed),
	    has_pages ? format_size(info->resident, resident) : "-",
	    info->backing[0] ? info->backing : "-",
	    info->lifetime[0] ? info->lifetime : "-",
	    format_number(info->handles, handles),
	    format_number(info->views, views),
	    is_waitable ? "-" : format_flush(info, flush),
	    info->state[0] ? info->state : "-",
	    name,
	};

	if (listing->json)
		json_array_append_new(listing->json, entry_json(name, info));
	else
		table_add(listing->table, cells);
}

static int is_wanted(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void list_directory(struct listing *listing, int fd, const char *prefix);

static void list_entry(struct listing *listing, int directory, const char *prefix, const char *name)
{
	struct mapping_error error = {0};
	struct mapping_info info;
	AUTO_FREE char *path = NULL;
	int rc = mapping_get_at(directory, name, &info, &error);

	if (asprintf(&path, "%s%s", prefix, name) < 0)
		abort();
	if (rc == -ENOENT) /* removed meanwhile */
		return;
	if (rc) {
		listing->code = mapctl_fail(listing->mapctl, path, "%s", error.text);
		return;
	}
	add(listing, path, &info);
	if (S_ISDIR(info.mode) && listing->mapctl->values[RECURSIVE]) {
		AUTO_CLOSE int fd =
		    openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		AUTO_FREE char *below = NULL;

		if (asprintf(&below, "%s/", path) < 0)
			abort();
		if (fd >= 0)
			list_directory(listing, fd, below);
		else if (errno != ENOENT)
			listing->code = mapctl_fail(listing->mapctl, path, "%s", strerror(errno));
	}
}

static void list_directory(struct listing *listing, int fd, const char *prefix)
{
	struct dirent **entries;
	int count = scandirat(fd, ".", &entries, is_wanted, by_bytes);

	if (count < 0) {
		listing->code = mapctl_fail(listing->mapctl, prefix, "%s", strerror(errno));
		return;
	}
	for (int i = 0; i < count; i++) {
		if (listing->mapctl->values[ALL] || entries[i]->d_name[0] != '.')
			list_entry(listing, fd, prefix, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
}

static void list(struct listing *listing, const struct mapping_mount *mount, const char *name)
{
	struct mapping_error error = {0};
	struct mapping_info info;
	AUTO_CLOSE int fd = mapping_open_directory(mount, name, &error);

	if (fd >= 0)
		list_directory(listing, fd, "");
	else if (fd == -ENOTDIR && !mapping_get(mount, name, &info, &error))
		add(listing, name, &info);
	else
		listing->code = mapctl_fail(listing->mapctl, *name ? name : NULL, "%s", error.text);
}

static int run(struct mapctl *mapctl)
{
	const char *name = mapctl->count ? mapctl->names[0] : "";
	struct mapping_mount *mount = mapctl_find(mapctl, mapctl->count ? name : NULL);
	struct listing listing = {.mapctl = mapctl};

	if (!mount)
		return EXIT_FAILED;
	if (mapctl->json)
		listing.json = json_array();
	else
		listing.table = table_create(titles, "lrrrllrrlll");
	list(&listing, mount, name);
	if (listing.json)
		listing.code |= print_json(listing.json);
	else
		table_print(listing.table);
	table_destroy(listing.table);
	mapping_mount_close(mount);
	return listing.code;
}

const struct verb verb_ls = {
    .name = "ls",
    .usage = "[-R] [-a] [DIR]",
    .summary = "list objects, with type, size, memory, backing, users, last flush and state",
    .text =
	"COMMITTED is what the size has reserved, RESIDENT what is in memory (for a bound file: "
	"on its disk). HANDLES are open files, VIEWS memory mappings, STATE that of an object to "
	"wait on. FLUSHED says FAILING while a flush fails and is tried again.\n",
    .options = options,
    .max_names = 1,
    .run = run,
};
