/* Configuring a fresh object: its type, size, binding, lifetime, before anybody can see it. */
#include "core/account.h"
#include "core/sys.h"
#include "core/util.h"
#include "core/wait.h"

static int set_memory_size(struct core *core, struct slot *slot, uint64_t size, bool sparse,
			   const char **why)
{
	AUTO_CLOSE int fd = file_own_descriptor(core, slot, O_RDWR);
	int rc;

	*why = "the backing file cannot be opened";
	if (fd < 0)
		return fd;
	*why = "the mount's limit would be exceeded";
	rc = sparse ? 0 : reserve(fd, 0, size);
	if (rc < 0)
		return rc;
	*why = "the object cannot grow";
	rc = sys->ftruncate(fd, (off_t)size);
	if (rc < 0)
		sys->ftruncate(fd, 0); /* the room goes back */
	return rc;
}

/* Made by O_TMPFILE for this, and not opened otherwise. */
static bool is_unborn(const struct slot *slot)
{
	return (slot->flags & (SLOT_UNBORN | SLOT_USED)) == SLOT_UNBORN;
}

/* Made by mknod(2), and never opened. */
static bool is_unopened(const struct slot *slot)
{
	return !slot->handles && !(slot->flags & (SLOT_USED | SLOT_ORPHAN));
}

static int check_fresh(struct core *core, struct slot *slot, const struct core_setup *setup,
		       const struct core_caller *caller, const char **why)
{
	struct stat st;
	int rc = tree_stat(&core->tree, slot, &st);

	*why = "the object is gone";
	if (rc < 0)
		return rc;
	*why = "only the object's owner may configure it";
	if (caller->uid != 0 && caller->uid != st.st_uid)
		return -EPERM;
	*why = "not a regular file";
	if (!(slot->flags & SLOT_REGULAR))
		return -EINVAL;
	*why = "the object has lost its name";
	if ((slot->flags & (SLOT_ORPHAN | SLOT_UNBORN)) == SLOT_ORPHAN)
		return -EINVAL;
	*why = "the object is in use or has been used already";
	if (!is_unborn(slot) && !is_unopened(slot))
		return -EBUSY;
	*why = "the object has a name, a size or a type already";
	if (st.st_nlink != 1 || (st.st_size && (uint64_t)st.st_size != setup->size) ||
	    (slot_is_waitable(slot) && slot->type != (uint8_t)setup->type))
		return -EBUSY;
	return 0;
}

static uint32_t configured_flags(const struct slot *slot, const struct core_setup *setup)
{
	uint32_t flags = slot->flags & ~(uint32_t)SLOT_SPARSE;

	if (setup->lifetime >= 0)
		flags = lifetime_flags(flags, (enum core_lifetime)setup->lifetime);
	if (setup->sparse)
		flags |= SLOT_SPARSE;
	return flags;
}

static int check_setup(const struct core_setup *setup, const char **why)
{
	*why = "size, file, sparse and read-only are for mappings";
	if (setup->type != OBJECT_MAPPING &&
	    (setup->set_size || setup->file_fd >= 0 || setup->sparse || setup->read_only))
		return -EINVAL;
	*why = "unknown type or lifetime";
	if (setup->type >= OBJECT_TYPES || setup->lifetime >= CORE_LIFETIMES)
		return -EINVAL;
	*why = "a size of 0 was given";
	if (setup->set_size && setup->size == 0)
		return -EINVAL;
	*why = "the size is larger than any file can be";
	if (setup->set_size && setup->size > (uint64_t)INT64_MAX)
		return -EFBIG;
	*why = "sparse is for memory-backed objects";
	if (setup->sparse && setup->file_fd >= 0)
		return -EINVAL;
	*why = "read-only is for file-backed objects";
	if (setup->read_only && setup->file_fd < 0)
		return -EINVAL;
	return 0;
}

static int configure_memory(struct core *core, struct slot *slot, const struct core_setup *setup,
			    const char **why)
{
	int rc = 0;

	if (setup->set_size)
		rc = account_begin(core, slot, setup->size);
	*why = rc == -EDQUOT ? "the limit of its owner would be exceeded (user_size= of the mount)"
			     : "the limit of the directory, or of one above it, would be exceeded";
	if (rc == 0 && setup->set_size)
		rc = set_memory_size(core, slot, setup->size, setup->sparse, why);
	account_end(core, slot);
	if (rc < 0)
		return rc;
	STAGE(&core->state, slot->flags, configured_flags(slot, setup));
	state_commit(&core->state);
	return 0;
}

static int configure_waitable(struct core *core, struct slot *slot, const struct core_setup *setup,
			      const char **why)
{
	int rc = wait_configure(core, slot, setup, why);

	if (rc < 0)
		return rc;
	STAGE(&core->state, slot->flags, configured_flags(slot, setup));
	state_commit(&core->state);
	return 0;
}

int core_configure(struct core *core, uint64_t node, const struct core_setup *setup,
		   const struct core_caller *caller, const char **why)
{
	struct slot *slot = slot_get(core, node);
	int rc = check_setup(setup, why);

	core->record = NULL;
	core_request_from(core, caller->uid, caller->pid);
	if (rc < 0)
		return rc;
	*why = "the object is gone";
	if (!slot || (slot->flags & SLOT_DEAD))
		return -ESTALE;
	rc = check_fresh(core, slot, setup, caller, why);
	if (rc < 0)
		return rc;
	if (setup->type != OBJECT_MAPPING)
		rc = configure_waitable(core, slot, setup, why);
	else if (setup->file_fd >= 0)
		rc = binding_create(core, slot, setup, configured_flags(slot, setup), why);
	else
		rc = configure_memory(core, slot, setup, why);
	if (rc < 0) {
		state_abandon(&core->state);
		return rc;
	}
	if (!slot_is_waitable(slot) && !(slot->flags & (SLOT_TEMPORARY | SLOT_SPARSE | SLOT_BOUND)))
		return 0;
	*why = "the attributes cannot be kept: the backing file system has no extended attributes";
	return record_save_slot(core, slot);
}
