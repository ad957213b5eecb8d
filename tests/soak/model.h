/* The model of a load's directory, its journal, and the comparison with what is there. */
#ifndef MAPPINGFS_TESTS_SOAK_MODEL_H
#define MAPPINGFS_TESTS_SOAK_MODEL_H

#include "tests/soak/soak.h"

/* --- journal.c --- */

/* Name k is about to become `after`; ... and name l, too, at the same moment. */
void journal_name(struct load *load, unsigned k, const struct entry *after);
void journal_names(struct load *load, unsigned k, const struct entry *k_after, unsigned l,
		   const struct entry *l_after);
void journal_value(struct load *load, enum journal_kind kind, unsigned value);
void journal_done(struct load *load);    /* it was done: the model follows */
void journal_refused(struct load *load); /* it was not: the model stays */

/* --- content.c --- */

const char *name_of(unsigned k); /* the last four stay valid */
uint64_t next_stamp(struct load *load);
/* Writes the whole content anew by a view or by calls: 0 or -errno. */
int content_write(int fd, const struct entry *entry, bool by_view);
/* NULL, or what is wrong. also: another content that each word may have; NULL: none. */
const char *content_check(int fd, const struct entry *entry, const struct entry *also,
			  bool by_view);
/* The same for the entry of that name in a directory: is it there, size, attribute, content. */
const char *entry_check(int directory, unsigned k, const struct entry *entry,
			const struct entry *also);

/* --- recover.c --- */

/* Finishes what the process before was at. The directory is the load's. 0, or -1 with a violation
 * said. */
int recover(struct load *load, struct common *common, int directory);
/* Removes all that is in the scratch directory. 0 or -errno. */
int scratch_empty(int directory);
/* What is left of the load is as its model says; nothing else is there. */
void verify_load(const struct load *load, const struct common *common);
/* Removes all of the model's objects. */
void remove_load(struct load *load, const struct common *common);

/* "3 of 5" or "signaled" of an object to wait on; -1: cannot be read. */
int waitable_value(int directory, const char *name);

#endif
