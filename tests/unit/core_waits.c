#include "tests/unit/core_waits.h"

#define RESENT (1ULL << 63)

uint64_t waits_make(struct fixture *f, const char *name, struct core_setup setup)
{
	struct core_entry entry;
	const char *why;

	setup.lifetime = -1;
	setup.file_fd = -1;
	begin_request(f);
	if (core_mknod(f->core, CORE_ROOT_NODE, name, S_IFREG | 0644, &root_caller, &entry) < 0)
		return 0;
	begin_request(f);
	if (core_configure(f->core, entry.node, &setup, &root_caller, &why) < 0)
		return 0;
	return entry.node;
}

uint64_t waits_make_event(struct fixture *f, const char *name, bool manual, bool signaled)
{
	return waits_make(
	    f, name,
	    (struct core_setup){.type = OBJECT_EVENT, .manual = manual, .signaled = signaled});
}

uint64_t waits_make_semaphore(struct fixture *f, const char *name, uint32_t initial, uint32_t max)
{
	return waits_make(
	    f, name,
	    (struct core_setup){.type = OBJECT_SEMAPHORE, .initial = initial, .maximum = max});
}

uint64_t waits_make_type(struct fixture *f, const char *name, enum object_type type)
{
	return waits_make(f, name,
			  (struct core_setup){.type = type, .maximum = type == OBJECT_SEMAPHORE});
}

uint64_t waits_open(struct fixture *f, uint64_t node, int flags)
{
	struct core_opened opened = {0};

	begin_request(f);
	return core_open(f->core, node, flags, &opened) < 0 ? 0 : opened.handle;
}

void waits_close(struct fixture *f, uint64_t node, uint64_t handle)
{
	begin_request(f);
	core_release(f->core, node, handle);
}

static int outcome(int rc, const struct core_waited *waited)
{
	return rc == 0 ? GIVEN(waited->result) : rc;
}

int waits_wait(struct fixture *f, uint64_t node, uint64_t handle, uint64_t unique, bool resent)
{
	struct core_waited waited = {.unique = resent ? unique | RESENT : unique};

	core_request(f->core, unique, resent);
	return outcome(core_wait(f->core, node, handle, true, &waited), &waited);
}

int waits_try(struct fixture *f, uint64_t node, uint64_t handle)
{
	struct core_waited waited = {0};

	begin_request(f);
	waited.unique = f->unique;
	return outcome(core_wait(f->core, node, handle, false, &waited), &waited);
}

int waits_many(struct fixture *f, const uint64_t *handles, uint32_t count, bool all,
	       uint64_t deadline, uint64_t unique, bool resent)
{
	struct core_waited waited = {.unique = resent ? unique | RESENT : unique};
	struct core_handle_proof proofs[CORE_WAIT_MAX];
	const struct core_wait_many many = {
	    .handles = proofs, .count = count, .all = all, .deadline = deadline};

	for (uint32_t i = 0; i < count; i++)
		if (core_handle_proof(f->core, handles[i], &proofs[i]) < 0)
			proofs[i] = (struct core_handle_proof){.handle = handles[i]};
	core_request(f->core, unique, resent);
	return outcome(core_wait_many(f->core, &many, &waited), &waited);
}

int waits_say(struct fixture *f, uint64_t node, uint64_t handle, const char *text)
{
	begin_request(f);
	return core_signal(f->core, node, handle, text, strlen(text), &root_caller);
}

unsigned waits_ended(struct fixture *f, uint64_t unique, struct core_waited *last)
{
	unsigned count = 0;

	for (unsigned i = 0; i < f->world->waited_count; i++) {
		if ((f->world->waited[i].unique & ~RESENT) != unique)
			continue;
		count++;
		if (last)
			*last = f->world->waited[i];
	}
	return count;
}

unsigned waits_polled(struct fixture *f, uint64_t poll)
{
	unsigned count = 0;

	for (unsigned i = 0; i < f->world->polled_count; i++)
		count += f->world->polled[i] == poll;
	return count;
}

bool waits_state_is(struct fixture *f, uint64_t node, const char *expected)
{
	char value[128] = "";
	int length;

	begin_request(f);
	length = core_getxattr(f->core, node, "user.mapping.state", value, sizeof value - 1);
	return length == (int)strlen(expected) && strcmp(value, expected) == 0;
}
