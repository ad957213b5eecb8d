/* Drives the wait_client helpers: programs in several languages that wait for an object by one way
 * after another, and say `WAY: what they read`. */
#ifndef MAPPINGFS_TESTS_SYS_WAIT_CLIENT_H
#define MAPPINGFS_TESTS_SYS_WAIT_CLIENT_H

#include <stdio.h>

#include "tests/sys/waitables.h"

enum wait_language { WAIT_PYTHON, WAIT_PERL, WAIT_JAVA, WAIT_LANGUAGES };

struct wait_client {
	struct sys *sys;
	pid_t pid;
	int input;
	FILE *from;
	char command[128]; /* for messages */
};

/* ways: separated by blanks. */
void wait_client_start(struct wait_client *client, struct sys *sys, enum wait_language language,
		       const char *path, const char *ways);
/* Any command: its output is read in the same manner. */
void wait_client_run(struct wait_client *client, struct sys *sys, const char *command);
/* Until a thread of it is asleep in a call by which one waits. */
void wait_client_blocks(struct wait_client *client);
bool wait_client_has_said(struct wait_client *client); /* a line is there to be read */
void wait_client_says(struct wait_client *client, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int wait_client_end(struct wait_client *client); /* exit status, as sys_wait() */
void wait_client_kill(struct wait_client *client);

#endif
