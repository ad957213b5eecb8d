/* mapctl create: the object appears under its name when everything about it is done. */
#include "fs/mapctl/mapctl.h"

#include "core/util.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SIZE, SPARSE, BIND_FILE, READ_ONLY, TEMPORARY, PERMANENT, MODE, GROUP, COUNT };

static const struct mapctl_option options[] = {
    [SIZE] = {"size", 's', "N[k|m|g]", "bytes, committed at once"},
    [SPARSE] = {"sparse", 0, NULL, "charge memory as it is touched, not with the size"},
    [BIND_FILE] = {"file", 'f', "PATH", "bind it to this file: its pages are the object's"},
    [READ_ONLY] = {"read-only", 'r', NULL, "with --file: nobody may write"},
    [TEMPORARY] = {"temporary", 't', NULL, "goes with its last handle and view"},
    [PERMANENT] = {"permanent", 'p', NULL, "stays until it is removed"},
    [MODE] = {"mode", 0, "OCT", "permission bits, exactly (default 666 less the umask)"},
    [GROUP] = {"group", 'g', "G", "group, by name or number"},
    [COUNT] = {0},
};

static int take_size(const struct mapctl *mapctl, struct mapping_attributes *a)
{
	const char *text = mapctl->values[SIZE];
	int rc;

	if (!text)
		return EXIT_OK;
	rc = parse_size(text, &a->size);
	if (rc == -ERANGE)
		return mapctl_fail(mapctl, mapctl->names[0],
				   "--size %s: out of range; give 1 to 9223372036854775807 bytes",
				   text);
	if (rc)
		return mapctl_usage(mapctl,
				    "--size %s: not a size; give a number of bytes, "
				    "or one with k, m, g or t",
				    text);
	if (!a->size)
		return mapctl_fail(mapctl, mapctl->names[0],
				   "--size 0: Invalid argument; an object has 1 byte at least");
	a->set_size = true;
	return EXIT_OK;
}

static int take_mode(const struct mapctl *mapctl, struct mapping_attributes *a)
{
	const char *text = mapctl->values[MODE];
	unsigned long mode;
	char *end;

	if (!text)
		return EXIT_OK;
	mode = strtoul(text, &end, 8);
	if (end == text || *end || *text == '-' || mode > 07777)
		return mapctl_usage(mapctl, "--mode %s: not an octal mode such as 0640", text);
	a->set_mode = true;
	a->mode = (mode_t)mode;
	return EXIT_OK;
}

static int take_group(const struct mapctl *mapctl, struct mapping_attributes *a)
{
	const char *text = mapctl->values[GROUP];
	const struct group *group;
	unsigned long gid;
	char *end;

	if (!text)
		return EXIT_OK;
	group = getgrnam(text);
	gid = group ? group->gr_gid : strtoul(text, &end, 10);
	if (!group && (end == text || *end || *text == '-' || gid >= (gid_t)-1))
		return mapctl_fail(mapctl, mapctl->names[0],
				   "--group %s: there is no such group; see getent group", text);
	a->set_gid = true;
	a->gid = (gid_t)gid;
	return EXIT_OK;
}

static int take_file(const struct mapctl *mapctl, struct mapping_attributes *a)
{
	const char *path = mapctl->values[BIND_FILE];
	struct stat st;
	int fd;

	if (!path)
		return EXIT_OK;
	/* Not to hang on a FIFO: it is refused below. */
	fd = open(path, (a->read_only ? O_RDONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		bool may_read = !a->read_only && (errno == EACCES || errno == EROFS ||
						  errno == EPERM || errno == ETXTBSY);

		return mapctl_fail(mapctl, mapctl->names[0], "cannot open %s: %s%s", path,
				   strerror(errno),
				   may_read ? "; with --read-only it need not be writable" : "");
	}
	a->file_fd = fd;
	a->bind = true;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return mapctl_fail(mapctl, mapctl->names[0],
				   "%s: not a regular file; bind a regular one", path);
	if (!st.st_size && !a->set_size)
		return mapctl_fail(
		    mapctl, mapctl->names[0],
		    "%s: the file is empty: Invalid argument; give a --size to grow it", path);
	return EXIT_OK;
}

static int check_usage(const struct mapctl *mapctl)
{
	if (mapctl->values[TEMPORARY] && mapctl->values[PERMANENT])
		return mapctl_usage(mapctl, "--temporary and --permanent exclude each other");
	if (mapctl->values[SPARSE] && mapctl->values[BIND_FILE])
		return mapctl_usage(mapctl, "--sparse is for memory, not with --file");
	if (mapctl->values[READ_ONLY] && !mapctl->values[BIND_FILE])
		return mapctl_usage(mapctl, "--read-only needs --file; for others use --mode");
	return EXIT_OK;
}

static int show(const struct mapctl *mapctl, const struct mapping_mount *mount)
{
	struct mapping_error error = {0};
	struct mapping_info info;

	if (!mapctl->json)
		return EXIT_OK;
	if (mapping_get(mount, mapctl->names[0], &info, &error))
		return mapctl_fail(mapctl, mapctl->names[0], "%s", error.text);
	return print_json(entry_json(mapctl->names[0], &info));
}

static int create(const struct mapctl *mapctl, const struct mapping_attributes *a)
{
	struct mapping_mount *mount = mapctl_find(mapctl, mapctl->names[0]);
	struct mapping_error error = {0};
	int code;

	if (!mount)
		return EXIT_FAILED;
	if (mapping_create(mount, mapctl->names[0], a, 0, NULL, &error))
		code = mapctl_fail(mapctl, mapctl->names[0], "%s", error.text);
	else
		code = show(mapctl, mount);
	mapping_mount_close(mount);
	return code;
}

static int run(struct mapctl *mapctl)
{
	struct mapping_attributes a = {.sparse = mapctl->values[SPARSE],
				       .read_only = mapctl->values[READ_ONLY],
				       .temporary = mapctl->values[TEMPORARY],
				       .permanent = mapctl->values[PERMANENT]};
	int code = check_usage(mapctl);

	if (!code)
		code = take_size(mapctl, &a);
	if (!code)
		code = take_mode(mapctl, &a);
	if (!code)
		code = take_group(mapctl, &a);
	if (!code)
		code = take_file(mapctl, &a);
	if (!code)
		code = create(mapctl, &a);
	if (a.bind)
		close(a.file_fd);
	return code;
}

const struct verb verb_create = {
    .name = "create",
    .usage = "NAME [--size N[k|m|g]] [--sparse] [--file PATH [--read-only]] "
	     "[--temporary|--permanent] [--mode OCT] [--group G]",
    .summary = "create a mapping object",
    .text =
	"Without --size the object is empty, or as large as its file; ftruncate(2) changes it.\n"
	"Needs the control socket: .control in the root of the mount.\n",
    .options = options,
    .min_names = 1,
    .max_names = 1,
    .run = run,
};
