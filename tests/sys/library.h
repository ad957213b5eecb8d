/* What system tests of the C library share: the mount as the library finds it, and a macro for
 * calls that must be refused. */
#ifndef MAPPINGFS_TESTS_SYS_LIBRARY_H
#define MAPPINGFS_TESTS_SYS_LIBRARY_H

#include "fs/client/mapping.h"
#include "tests/sys/harness.h"

/* Fails the test if a call that must succeed does not; its value. `e` is its struct mapping_error
 * *.
 */
#define DONE(call)                                                                                 \
	({                                                                                         \
		struct mapping_error error_ = {0}, *e = &error_;                                   \
		int rc_ = (call);                                                                  \
		(void)e;                                                                           \
		if (rc_ < 0)                                                                       \
			fail_msg("%s:%d: %s: %d: %s", __FILE__, __LINE__, #call, rc_,              \
				 error_.text);                                                     \
		rc_;                                                                               \
	})

/* Fails the test unless the call is refused with this code, with these words in its text, and
 * without a descriptor left. */
#define REFUSED(wanted, words, call)                                                               \
	do {                                                                                       \
		struct mapping_error error_ = {0}, *e = &error_;                                   \
		int fds_ = sys_count_fds(getpid()), rc_ = (call);                                  \
		(void)e;                                                                           \
		library_check_refusal(__FILE__, __LINE__, rc_, wanted, &error_, words, fds_);      \
	} while (0)
void library_check_refusal(const char *file, int line, int rc, int wanted,
			   const struct mapping_error *error, const char *words, int fds_before);

/* Mounts; the caller closes it. */
struct mapping_mount *library_mount(struct sys *sys, const char *options);
/* An object with the attributes and mode 0644, open for reading and writing. */
int library_make(const struct mapping_mount *mount, const char *name,
		 struct mapping_attributes attributes);
struct mapping_info library_info(const struct mapping_mount *mount, const char *name);
/* Entries of the mount's root, hidden ones too, but for .control; "a b ", sorted. Static. */
const char *library_names(struct sys *sys);

#endif
