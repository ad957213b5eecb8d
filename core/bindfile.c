#include "core/bindfile.h"

#include "core/util.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#define VERSION 1

struct name {
	char text[24];
};

static struct name name_of(uint64_t id)
{
	struct name name;

	snprintf(name.text, sizeof name.text, "%016" PRIx64, id);
	return name;
}

uint64_t bindfile_id(const char *name)
{
	char *end;
	uint64_t id = strtoull(name, &end, 16);

	return *end || strcmp(name_of(id).text, name) != 0 ? 0 : id;
}

/* --- an inode --- */

static void describe_handle(int fd, struct bindfile *out)
{
	union {
		struct file_handle head;
		uint8_t bytes[sizeof(struct file_handle) + BINDFILE_HANDLE_MAX];
	} h = {.head.handle_bytes = BINDFILE_HANDLE_MAX};
	int mount_id;

	if (name_to_handle_at(fd, "", &h.head, &mount_id, AT_EMPTY_PATH) < 0)
		return;
	out->handle_type = (uint32_t)h.head.handle_type;
	out->handle_bytes = h.head.handle_bytes;
	memcpy(out->handle, h.head.f_handle, h.head.handle_bytes);
}

int bindfile_of(int fd, bool read_only, struct bindfile *out)
{
	struct statx st;
	struct statfs fs;

	*out = (struct bindfile){.read_only = read_only};
	if (statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, &st) < 0 ||
	    fstatfs(fd, &fs) < 0)
		return -errno;
	out->device_major = st.stx_dev_major;
	out->device_minor = st.stx_dev_minor;
	out->ino = st.stx_ino;
	if (st.stx_mask & STATX_BTIME)
		out->born = st.stx_btime.tv_sec * 1000000000LL + st.stx_btime.tv_nsec;
	out->fs_type = (uint64_t)fs.f_type;
	memcpy(&out->fs_id, &fs.f_fsid, sizeof out->fs_id);
	describe_handle(fd, out);
	return 0;
}

/* Numbers of devices can be given anew at the next start of the machine, ids of file systems
 * mostly are not. Neither alone is what a user could choose. */
bool bindfile_same_fs(const struct bindfile *one, const struct bindfile *other)
{
	if (one->fs_type != other->fs_type)
		return false;
	if (one->fs_id && one->fs_id == other->fs_id)
		return true;
	return one->device_major == other->device_major && one->device_minor == other->device_minor;
}

bool bindfile_same(const struct bindfile *one, const struct bindfile *other)
{
	return bindfile_same_fs(one, other) && one->ino == other->ino && one->born == other->born &&
	       one->handle_type == other->handle_type && one->handle_bytes == other->handle_bytes &&
	       memcmp(one->handle, other->handle, one->handle_bytes) == 0;
}

/* --- as text --- */

/* FNV-1a */
static uint64_t checksum(const char *text)
{
	uint64_t sum = 0xcbf29ce484222325ULL;

	for (; *text; text++)
		sum = (sum ^ (uint8_t)*text) * 0x100000001b3ULL;
	return sum;
}

int bindfile_write(int directory, uint64_t id, const struct bindfile *file)
{
	char handle[2 * BINDFILE_HANDLE_MAX + 1] = "-", body[PATH_MAX + 512], text[PATH_MAX + 544];

	for (uint32_t i = 0; i < file->handle_bytes; i++)
		sprintf(handle + 2 * i, "%02x", file->handle[i]);
	snprintf(body, sizeof body,
		 "%s %" PRIu32 ":%" PRIu32 " %" PRIx64 ":%" PRIx64 " %" PRIu64 " %" PRId64
		 " %" PRIu32 ":%s %s",
		 file->read_only ? "ro" : "rw", file->device_major, file->device_minor,
		 file->fs_type, file->fs_id, file->ino, file->born, file->handle_type, handle,
		 file->path);
	snprintf(text, sizeof text, "%d %016" PRIx64 " %s", VERSION, checksum(body), body);
	return neg_errno(symlinkat(text, directory, name_of(id).text));
}

static int parse_handle(const char *text, struct bindfile *out)
{
	size_t length = strlen(text);

	if (strcmp(text, "-") == 0)
		return 0;
	if (length % 2 || length / 2 > BINDFILE_HANDLE_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < length / 2; i++)
		if (sscanf(text + 2 * i, "%2hhx", &out->handle[i]) != 1)
			return -EBADMSG;
	out->handle_bytes = (uint32_t)(length / 2);
	return 0;
}

static int parse(const char *body, struct bindfile *out)
{
	char access[3], handle[2 * BINDFILE_HANDLE_MAX + 1];
	int at = -1;

	sscanf(body,
	       "%2s %" SCNu32 ":%" SCNu32 " %" SCNx64 ":%" SCNx64 " %" SCNu64 " %" SCNd64
	       " %" SCNu32 ":%256s%n",
	       access, &out->device_major, &out->device_minor, &out->fs_type, &out->fs_id,
	       &out->ino, &out->born, &out->handle_type, handle, &at);
	if (at < 0 || body[at] != ' ' || strlen(body + at + 1) >= sizeof out->path)
		return -EBADMSG;
	out->read_only = strcmp(access, "rw") != 0; /* never more than was given */
	strcpy(out->path, body + at + 1);
	return parse_handle(handle, out);
}

int bindfile_read(int directory, uint64_t id, struct bindfile *out)
{
	char text[PATH_MAX + 544];
	ssize_t length = readlinkat(directory, name_of(id).text, text, sizeof text - 1);
	uint64_t sum;
	int version, at = -1;

	*out = (struct bindfile){.read_only = true};
	if (length < 0)
		return -errno;
	text[length] = '\0';
	sscanf(text, "%d %16" SCNx64 "%n", &version, &sum, &at);
	if (at < 0 || text[at] != ' ' || version != VERSION || checksum(text + at + 1) != sum)
		return -EBADMSG;
	return parse(text + at + 1, out);
}

int bindfile_remove(int directory, uint64_t id)
{
	return neg_errno(unlinkat(directory, name_of(id).text, 0));
}
