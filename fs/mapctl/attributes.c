/* The options of mapctl create, as attributes of the new object. */
#include "fs/mapctl/attributes.h"

#include "core/util.h"

#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/stat.h>

enum {
	TYPE,
	SIZE,
	SPARSE,
	BIND_FILE,
	READ_ONLY,
	LIFETIME,
	TEMPORARY,
	PERMANENT,
	MODE,
	GROUP,
	MANUAL,
	AUTO,
	SET,
	INITIAL,
	MAX,
	KILL_ON_CLOSE,
	COUNT
};

const struct mapctl_option attribute_options[] = {
    [TYPE] = {"type", 'T', "TYPE", "mapping (default), event, semaphore, mutex, timer or job"},
    [SIZE] = {"size", 's', "N[k|m|g|t]", "mapping: bytes, committed at once"},
    [SPARSE] = {"sparse", 0, NULL, "mapping: charge memory as it is touched, not with the size"},
    [BIND_FILE] = {"file", 'f', "PATH",
		   "mapping: bind it to this file: its pages are the object's"},
    [READ_ONLY] = {"read-only", 'r', NULL, "with --file: nobody may write, root included"},
    [LIFETIME] = {"lifetime", 'l', "KIND", "permanent, temporary or handle"},
    [TEMPORARY] = {"temporary", 't', NULL, "the same as --lifetime temporary"},
    [PERMANENT] = {"permanent", 'p', NULL, "the same as --lifetime permanent"},
    [MODE] = {"mode", 0, "OCT", "permission bits, exactly (default 666 less the umask)"},
    [GROUP] = {"group", 'g', "G", "group, by name or number"},
    [MANUAL] = {"manual", 0, NULL, "event, timer: stays signaled until it is reset"},
    [AUTO] = {"auto", 0, NULL, "event, timer: one wait resets it (default)"},
    [SET] = {"set", 0, NULL, "event: signaled from the start"},
    [INITIAL] = {"initial", 0, "N", "semaphore: the count at first (default 0)"},
    [MAX] = {"max", 0, "M", "semaphore: the largest count, 1 to 2147483647"},
    [KILL_ON_CLOSE] = {"kill-on-close", 0, NULL,
		       "job: its members are killed when its last handle closes"},
    [COUNT] = {0},
};

_Static_assert(COUNT <= MAPCTL_MAX_OPTIONS, "room for the values");

static int take_type(const struct mapctl *mapctl, struct mapping_attributes *a)
{
	const char *text = mapctl->values[TYPE];

	if (!text)
		return EXIT_OK;
	a->type = mapping_type_of(text);
	if (a->type == MAPPING_ANY)
		return mapctl_usage(mapctl,
				    "--type %s: there is no such type; give mapping, event, "
				    "semaphore, mutex, timer or job",
				    text);
	return EXIT_OK;
}

static int take_lifetime(const struct mapctl *mapctl, struct mapping_attributes *a)
{
	static const struct {
		const char *name;
		enum mapping_lifetime lifetime;
	} kinds[] = {{"permanent", MAPPING_PERMANENT},
		     {"temporary", MAPPING_TEMPORARY},
		     {"handle", MAPPING_HANDLE_BOUND}};
	const char *text = mapctl->values[LIFETIME];

	if (!!text + !!mapctl->values[TEMPORARY] + !!mapctl->values[PERMANENT] > 1)
		return mapctl_usage(mapctl,
				    "--lifetime, --temporary and --permanent exclude each other");
	if (mapctl->values[TEMPORARY])
		a->lifetime = MAPPING_TEMPORARY;
	if (mapctl->values[PERMANENT])
		a->lifetime = MAPPING_PERMANENT;
	for (size_t i = 0; text && i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].name, text))
			a->lifetime = kinds[i].lifetime;
	if (text && a->lifetime == MAPPING_DEFAULT)
		return mapctl_usage(mapctl,
				    "--lifetime %s: there is no such lifetime; give permanent, "
				    "temporary or handle",
				    text);
	return EXIT_OK;
}

static int take_count(const struct mapctl *mapctl, int option, uint32_t least, uint32_t *out)
{
	const char *text = mapctl->values[option];
	unsigned long long number;
	char *end;

	if (!text)
		return EXIT_OK;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number > INT32_MAX || number < least)
		return mapctl_usage(mapctl, "--%s %s: not a number of %u to 2147483647",
				    attribute_options[option].name, text, least);
	*out = (uint32_t)number;
	return EXIT_OK;
}

static int take_counts(const struct mapctl *mapctl, struct mapping_attributes *a)
{
	int code = take_count(mapctl, INITIAL, 0, &a->initial);

	if (!code)
		code = take_count(mapctl, MAX, 1, &a->maximum);
	if (code || a->type != MAPPING_SEMAPHORE)
		return code;
	if (!a->maximum)
		return mapctl_usage(mapctl, "a semaphore needs a --max");
	if (a->initial > a->maximum)
		return mapctl_usage(mapctl, "--initial is larger than --max");
	return EXIT_OK;
}

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

/* An option that the type does not know. */
static int check_belongs(const struct mapctl *mapctl, enum mapping_type type)
{
	static const struct {
		int option;
		unsigned types;
		const char *text;
	} rules[] = {
	    {SIZE, 1 << MAPPING_MAPPING, "mappings"},
	    {SPARSE, 1 << MAPPING_MAPPING, "mappings"},
	    {BIND_FILE, 1 << MAPPING_MAPPING, "mappings"},
	    {READ_ONLY, 1 << MAPPING_MAPPING, "mappings"},
	    {MANUAL, 1 << MAPPING_EVENT | 1 << MAPPING_TIMER, "events and timers"},
	    {AUTO, 1 << MAPPING_EVENT | 1 << MAPPING_TIMER, "events and timers"},
	    {SET, 1 << MAPPING_EVENT, "events"},
	    {INITIAL, 1 << MAPPING_SEMAPHORE, "semaphores"},
	    {MAX, 1 << MAPPING_SEMAPHORE, "semaphores"},
	    {KILL_ON_CLOSE, 1 << MAPPING_JOB, "jobs"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		if (mapctl->values[rules[i].option] && !(rules[i].types & 1U << type))
			return mapctl_usage(mapctl, "--%s is for %s, not for type %s",
					    attribute_options[rules[i].option].name, rules[i].text,
					    mapping_type_name(type));
	return EXIT_OK;
}

static int check_usage(const struct mapctl *mapctl, struct mapping_attributes *a)
{
	if (mapctl->values[SPARSE] && mapctl->values[BIND_FILE])
		return mapctl_usage(mapctl, "--sparse is for memory, not with --file");
	if (mapctl->values[READ_ONLY] && !mapctl->values[BIND_FILE])
		return mapctl_usage(mapctl, "--read-only needs --file; for others use --mode");
	if (mapctl->values[MANUAL] && mapctl->values[AUTO])
		return mapctl_usage(mapctl, "--manual and --auto exclude each other");
	return check_belongs(mapctl, a->type);
}

int attributes_take(const struct mapctl *mapctl, struct mapping_attributes *a)
{
	static int (*const steps[])(const struct mapctl *, struct mapping_attributes *) = {
	    take_type, check_usage, take_lifetime, take_counts,
	    take_size, take_mode,   take_group,    take_file,
	};
	int code = EXIT_OK;

	*a = (struct mapping_attributes){.sparse = mapctl->values[SPARSE],
					 .read_only = mapctl->values[READ_ONLY],
					 .manual = mapctl->values[MANUAL],
					 .signaled = mapctl->values[SET],
					 .kill_on_close = mapctl->values[KILL_ON_CLOSE],
					 .file_fd = -1};
	for (size_t i = 0; !code && i < ARRAY_SIZE(steps); i++)
		code = steps[i](mapctl, a);
	if (code)
		attributes_drop(a);
	return code;
}

void attributes_drop(struct mapping_attributes *a)
{
	cleanup_close(&a->file_fd);
	a->file_fd = -1;
}
