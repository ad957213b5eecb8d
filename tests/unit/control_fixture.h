/* The control socket's server side, over a core that only remembers what it was asked. The object
 * is a file of a tmpfs that pretends to be FUSE when its handle is asked for. The fake functions
 *take the real ones' places in programs that say
 *
 *	wrap: core_configure core_inode_number core_owner core_jobs name_to_handle_at
 */
#ifndef MAPPINGFS_TESTS_UNIT_CONTROL_FIXTURE_H
#define MAPPINGFS_TESTS_UNIT_CONTROL_FIXTURE_H

#include "core/core.h"
#include "fs/wire.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#define NODE_GENERATION 7ULL

struct control_box {
	char dir[64], object[96], address[96], status[8192];
	struct stat st; /* of the object */
	/* what core is to answer, and what it was asked */
	int result;
	int configure_result; /* its own, if it is not 0 */
	const char *why;
	uid_t owner;
	uint64_t node;
	struct core_setup setup;
	struct core_caller caller;
	struct stat bound;
	int configured;
};

extern struct control_box box;

/* cmocka setup functions. The state is in `box`. */
int control_setup(void **state);
int control_teardown(void **state); /* fails if descriptors are left open */
#define CONTROL_TEST(name) cmocka_unit_test_setup_teardown(name, control_setup, control_teardown)

struct control *control_under_test(void);
size_t count_fds(void);
int open_object(int flags);

/* The server works only inside of these. */
void run_until_readable(int fd);
void run_a_while(int milliseconds);
void run_until_fds(size_t wanted);

int connect_client(void);
struct wire_request make_request(uint16_t type, uint32_t flags, uint64_t size);
void post(int client, uint16_t type, uint32_t flags, uint64_t size, const int *fds, size_t n);
int await(int client, struct wire_reply *reply); /* the reply's descriptor, or -1 */
/* Both, for an answer without a descriptor: its error. */
int ask(int client, uint16_t type, uint32_t flags, uint64_t size, const int *fds, size_t n);
json_t *read_json(int fd); /* closes it */

#endif
