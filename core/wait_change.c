/* Changes: lines of words, by write(2) or together with a wait. */
#include "core/util.h"
#include "core/wait_internal.h"

#include <string.h>

enum { LONGEST_LINE = 255, MAX_WORDS = 4, MAX_WRITE = 64 << 10 };

static size_t split(char *line, char **words)
{
	size_t count = 0;
	char *rest;

	for (char *w = strtok_r(line, " \t\r", &rest); w; w = strtok_r(NULL, " \t\r", &rest)) {
		if (count == MAX_WORDS)
			return SIZE_MAX;
		words[count++] = w;
	}
	words[count] = NULL;
	return count;
}

/* One line; `next` is the offset behind it, `last` that nothing follows. 1: there was nothing. */
static int change_line(struct core *core, struct slot *slot, const char *text, size_t length,
		       size_t next, bool last, const struct wait_caller *caller)
{
	char line[LONGEST_LINE + 1], *words[MAX_WORDS + 1];
	size_t count;
	int rc;

	if (length > LONGEST_LINE || memchr(text, '\0', length))
		return -EINVAL;
	memcpy(line, text, length);
	line[length] = '\0';
	count = split(line, words);
	if (count == 0)
		return 1;
	rc = count == SIZE_MAX ? -EINVAL : wait_type_of(slot)->change(core, slot, words, caller);
	if (rc < 0) {
		state_abandon(&core->state);
		return rc;
	}
	wait_stage_unsaved(core, slot);
	if (last)
		core_stage_done(core, (int)next, 0);
	else if (core->record)
		STAGE(&core->state, core->record->before, next);
	state_commit(&core->state);
	wait_refresh(core, slot);
	wait_changed(core, slot);
	return 0;
}

int core_signal(struct core *core, uint64_t node, uint64_t handle, const char *text, size_t size,
		const struct core_caller *caller)
{
	const struct wait_caller who = {.handle = handle, .who = caller};
	struct slot *slot = wait_slot(core, node);
	size_t at = core->resent_started ? core->record->before : 0;
	bool any = at > 0;
	int rc;

	if (core_replayed(core, &rc, NULL))
		return rc;
	if (!slot || !wait_handle_is_of(core, handle, slot))
		return -ESTALE;
	if (size > MAX_WRITE)
		size = MAX_WRITE;
	for (; at < size;) {
		const char *end = memchr(text + at, '\n', size - at);
		size_t next = end ? (size_t)(end - text) + 1 : size;

		rc = change_line(core, slot, text + at, (end ? next - 1 : size) - at, next,
				 next == size, &who);
		if (rc < 0)
			return any ? core_finish(core, (int)at) : rc;
		any = any || rc == 0;
		at = next;
	}
	return any ? core_finish(core, (int)size) : -EINVAL;
}

/* --- signal and wait --- */

static struct wait_handle *proved(struct core *core, const struct core_handle_proof *proof)
{
	struct wait_handle *handle = wait_handle(core, proof->handle);

	return handle && handle->key == proof->key ? handle : NULL;
}

bool core_signal_wait_is_due(struct core *core, const struct core_handle_proof *proof,
			     uint64_t unique)
{
	const struct wait_handle *handle = proved(core, proof);

	return handle && handle->signaled != WAIT_UNIQUE(unique);
}

/* The change, unless a former worker made it. It is noted in the handle, with the change itself. */
static int signal_once(struct core *core, const struct core_signal_wait *request,
		       struct wait_handle *handle, uint64_t unique,
		       const struct core_caller *caller)
{
	const struct wait_caller who = {.handle = request->signal.handle, .who = caller};
	struct slot *slot = wait_slot(core, handle->node);
	size_t length = request->length;
	int rc;

	if (core->resent && handle->signaled == unique)
		return 0;
	if (handle->signaled && pointers_get(&core->waits->waiters, handle->signaled))
		return -EBUSY;
	if (!slot)
		return -ESTALE;
	if (length && request->words[length - 1] == '\n')
		length--;
	STAGE(&core->state, handle->signaled, unique);
	rc = change_line(core, slot, request->words, length, 0, false, &who);
	if (rc == 1) {
		state_abandon(&core->state);
		return -EINVAL;
	}
	return rc;
}

int core_signal_wait(struct core *core, const struct core_signal_wait *request,
		     const struct core_caller *caller, struct core_waited *out)
{
	const struct core_wait_many one = {
	    .handles = &request->signal, .count = 1, .deadline = request->deadline};
	struct wait_handle *waits_through = wait_handle(core, request->handle);
	struct wait_handle *handle = proved(core, &request->signal);
	struct slot *slot = wait_slot(core, request->node);
	int rc;

	if (wait_replayed(core, out, &rc))
		return rc;
	if (!handle || !slot || !wait_handle_is_of(core, request->handle, slot))
		return -EBADF;
	if (handle->access == O_RDONLY || waits_through->access == O_WRONLY)
		return -EACCES;
	rc = signal_once(core, request, handle, WAIT_UNIQUE(out->unique), caller);
	if (rc < 0)
		return rc;
	rc = wait_for(core, &slot, &request->handle, &one, out);
	return rc == -EAGAIN ? -ETIMEDOUT : rc;
}
