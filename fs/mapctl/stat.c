/* mapctl stat: everything about one name. */
#include "fs/mapctl/mapctl.h"

#include <stdio.h>
#include <sys/stat.h>

static void print_bytes(const char *title, int64_t bytes)
{
	char room[FORMAT_ROOM];

	if (bytes < 1024)
		printf("%-10s %s\n", title, format_number(bytes, room));
	else
		printf("%-10s %lld (%s)\n", title, (long long)bytes, format_size(bytes, room));
}

static void print_text(const char *title, const char *text)
{
	char *shown = printable(text);

	printf("%-10s %s\n", title, shown && *shown ? shown : "-");
	free(shown);
}

/* Those of other file systems, and of directories, have no such thing. */
static void print_known(const char *title, const char *text)
{
	if (*text)
		print_text(title, text);
}

static void print_creator(const struct mapping_info *info)
{
	char pid[FORMAT_ROOM], when[FORMAT_ROOM];

	if (info->creator_uid == MAPPING_UNKNOWN)
		return;
	printf("%-10s uid %lld, pid %s, %s\n", "creator", (long long)info->creator_uid,
	       format_number(info->creator_pid, pid),
	       info->created.tv_sec ? format_time(info->created.tv_sec, when) : "-");
}

static void print_info(const char *name, const struct mapping_info *info)
{
	char room[FLUSH_ROOM];

	print_text("name", name);
	print_text("type", info->type_name);
	print_known("state", info->state);
	print_bytes("size", info->size);
	print_bytes("committed", info->committed);
	print_bytes("resident", info->resident);
	print_text("backing", info->backing);
	print_text("lifetime", info->lifetime);
	if (info->limit != MAPPING_UNKNOWN)
		print_bytes("limit", info->limit);
	print_text("handles", format_number(info->handles, room));
	print_text("views", format_number(info->views, room));
	print_text("flushed", format_flush(info, room));
	printf("%-10s %04o\n", "mode", info->mode & 07777);
	printf("%-10s %u:%u\n", "owner", info->uid, info->gid);
	print_creator(info);
	printf("%-10s %llu\n", "inode", (unsigned long long)info->inode);
	print_text("modified", format_time(info->modified.tv_sec, room));
}

static int run(struct mapctl *mapctl)
{
	struct mapping_mount *mount = mapctl_find(mapctl, mapctl->names[0]);
	struct mapping_error error = {0};
	struct mapping_info info;
	int code = EXIT_OK;

	if (!mount)
		return EXIT_FAILED;
	if (mapping_get(mount, mapctl->names[0], &info, &error))
		code = mapctl_fail(mapctl, mapctl->names[0], "%s", error.text);
	else if (mapctl->json)
		code = print_json(entry_json(mapctl->names[0], &info));
	else
		print_info(mapctl->names[0], &info);
	mapping_mount_close(mount);
	return code;
}

const struct verb verb_stat = {
    .name = "stat",
    .usage = "NAME",
    .summary = "show everything about one object",
    .min_names = 1,
    .max_names = 1,
    .run = run,
};
