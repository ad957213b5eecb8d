#include "tests/unit/core_wait_steps.h"

void waits_opened(struct fixture *f, uint64_t node)
{
	CHECK(node != 0);
	NODE = node;
	HANDLE = waits_open(f, node, O_RDWR);
	HANDLE2 = waits_open(f, node, O_RDWR);
	CHECK(HANDLE != 0 && HANDLE2 != 0);
}

void waits_three(struct fixture *f)
{
	for (uint64_t unique = FIRST; unique <= THIRD; unique += 2)
		CHECK(waits_wait(f, NODE, HANDLE2, unique, false) == BLOCKED);
	WAITING = 3;
}

int waits_for_both(struct fixture *f, bool all, struct core_waited *waited)
{
	struct core_handle_proof proofs[2];
	const struct core_wait_many many = {
	    .handles = proofs, .count = 2, .all = all, .deadline = UINT64_MAX};

	CHECK(core_handle_proof(f->core, HANDLE2, &proofs[0]) == 0);
	CHECK(core_handle_proof(f->core, OTHER, &proofs[1]) == 0);
	return core_wait_many(f->core, &many, waited);
}

static int send_again(struct fixture *f, uint64_t unique, struct core_waited *waited)
{
	*waited = (struct core_waited){.unique = unique | 1ULL << 63};
	core_request(f->core, unique, true);
	return WAITING == BOTH ? waits_for_both(f, true, waited)
			       : core_wait(f->core, NODE, HANDLE2, true, waited);
}

void waits_resend(struct fixture *f)
{
	uint64_t count = WAITING == BOTH ? 1 : WAITING;

	if (!f->core->waits->gathering)
		return;
	for (uint64_t unique = FIRST + 2 * count; unique > FIRST;) {
		struct core_waited waited;

		unique -= 2;
		if (waits_ended(f, unique, NULL))
			continue;
		int rc = send_again(f, unique, &waited);
		CHECK(rc == CORE_DEFERRED || rc == 0);
		if (rc == 0)
			f->world->waited[f->world->waited_count++] = waited;
	}
	core_resumed(f->core);
}

int waits_end_of(struct fixture *f, uint64_t unique)
{
	struct core_waited last;
	unsigned count = waits_ended(f, unique, &last);

	CHECK(count <= 1);
	return count == 0 ? BLOCKED : last.error ? last.error : GIVEN(last.result);
}

void waits_all_ended(struct fixture *f, int first, int second, int third)
{
	CHECK(waits_end_of(f, FIRST) == first);
	CHECK(waits_end_of(f, SECOND) == second);
	CHECK(waits_end_of(f, THIRD) == third);
	for (uint64_t unique = FIRST; unique <= THIRD; unique += 2) {
		bool waits = waits_end_of(f, unique) == BLOCKED;

		CHECK(core_interrupt(f->core, unique) == waits);
	}
}

void waits_given_back(struct fixture *f)
{
	if (HANDLE)
		waits_close(f, NODE, HANDLE);
	if (HANDLE2)
		waits_close(f, NODE, HANDLE2);
	unlinked(f, "file");
	forgotten(f, NODE, 1);
}

void waits_resend_first(struct fixture *f)
{
	if (!f->core->waits->gathering)
		return;
	waits_resend(f);
	core_request(f->core, CRASH_UNIQUE, true);
}

int waits_said(struct fixture *f, const char *text)
{
	waits_resend_first(f);
	return core_signal(f->core, NODE, HANDLE, text, strlen(text), &root_caller);
}
