/* mapctl create: the object appears under its name when everything about it is done. */
#include "fs/mapctl/attributes.h"

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
	struct mapping_attributes a;
	int code = attributes_take(mapctl, &a);

	if (code)
		return code;
	code = create(mapctl, &a);
	attributes_drop(&a);
	return code;
}

const struct verb verb_create = {
    .name = "create",
    .usage = "NAME [--type TYPE] [OPTION...]",
    .summary = "create an object",
    .text =
	"The name appears when all is done, and never over another.\n"
	"A mapping without --size is empty, or as large as its file; ftruncate(2) changes it "
	"later. With --file, a larger size grows the file first, a smaller one maps its beginning. "
	"The file is opened by mapctl, with your rights; it is a regular file, outside of this "
	"mount, and not on another FUSE file system.\n"
	"A touch of a sparse mapping can fail (SIGBUS) when there is no memory left.\n"
	"Lifetimes: permanent, until it is removed; temporary, name and pages go with the last "
	"handle and view; handle, the name goes with the last handle, the pages with the last "
	"view. The default is the directory's (its attribute user.mapping.lifetime), else the "
	"mount's.\n"
	"Needs the control socket: .control in the root of the mount.\n",
    .options = attribute_options,
    .min_names = 1,
    .max_names = 1,
    .run = run,
};
