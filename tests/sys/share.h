/* Drives the share helpers (helpers/share.c and its siblings): processes that map an object and do
 * as they are told. */
#ifndef MAPPINGFS_TESTS_SYS_SHARE_H
#define MAPPINGFS_TESTS_SYS_SHARE_H

#include <stdio.h>

#include "tests/sys/harness.h"

struct share {
	struct sys *sys;
	pid_t pid;
	FILE *to, *from;
};

#define SHARE_C      TEST_HELPER_BIN_DIR "/share"
#define SHARE_PYTHON "python3 " TEST_HELPER_DIR "/share.py"
#define SHARE_PERL   "perl " TEST_HELPER_DIR "/share.pl"
#define SHARE_JAVA   "java -Xint -Xmx64m " TEST_HELPER_DIR "/Share.java"

/* Starts `command path` and waits until it has mapped the object. */
void share_start(struct share *share, struct sys *sys, const char *command, const char *path);
/* Starts it without waiting; share_ready() does that. */
void share_begin(struct share *share, struct sys *sys, const char *command, const char *path);
void share_ready(struct share *share);
void share_put(struct share *share, unsigned long offset, unsigned long value);
unsigned long share_get(struct share *share, unsigned long offset);
void share_add(struct share *share, unsigned long offset, unsigned long count);
void share_close_file(struct share *share);
void share_end(struct share *share);  /* by end of input; it must exit with 0 */
void share_kill(struct share *share); /* -9 */

#endif
