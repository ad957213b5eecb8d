/* The order of the stores is what a SIGKILL between two of them relies on: the kernel kills between
 * instructions, so the compiler must keep it. */
#include "tests/soak/model.h"

#include <stdatomic.h>

static void begin(struct load *load, enum journal_kind kind)
{
	atomic_signal_fence(memory_order_seq_cst);
	load->journal.kind = kind;
	atomic_signal_fence(memory_order_seq_cst);
}

void journal_names(struct load *load, unsigned k, const struct entry *k_after, unsigned l,
		   const struct entry *l_after)
{
	load->journal.k = k;
	load->journal.l = l;
	load->journal.k_after = *k_after;
	load->journal.l_after = *l_after;
	begin(load, JOURNAL_NAMES);
}

void journal_name(struct load *load, unsigned k, const struct entry *after)
{
	journal_names(load, k, after, k, after);
}

void journal_value(struct load *load, enum journal_kind kind, unsigned value)
{
	load->journal.value = value;
	begin(load, kind);
}

void journal_refused(struct load *load)
{
	begin(load, JOURNAL_NONE);
}

/* Killed in here, the journal still says "after", which is what is there. */
void journal_done(struct load *load)
{
	const struct journal *j = &load->journal;

	switch (j->kind) {
	case JOURNAL_NAMES:
		load->names[j->k] = j->k_after;
		load->names[j->l] = j->l_after;
		break;
	case JOURNAL_SEMAPHORE:
		load->semaphore = j->value;
		break;
	case JOURNAL_EVENT:
		load->event = j->value;
		break;
	case JOURNAL_TAKE:
	case JOURNAL_GIVE:
		load->tokens = j->value;
		break;
	}
	begin(load, JOURNAL_NONE);
}
