/* The worker's side of the control socket: connections, requests in one order (shape, version,
 * rights, lookup, answer prepared, change), replies. Every refusal closes the fds it received. */
#ifndef MAPPINGFS_FS_CONTROL_H
#define MAPPINGFS_FS_CONTROL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct control;
struct core;
struct core_event;
struct loop;

#define CONTROL_MAX_CLIENTS                                                                        \
	512 /* one more is accepted and closed at once with EMFILE in a reply                      \
	     */

struct control_config {
	struct loop *loop;
	struct core *core;
	int listen_fd; /* borrowed, non-blocking, listening */
	uint32_t device_major,
	    device_minor;          /* st_dev of our mount: fds of other file systems are refused */
	uint32_t user_connections; /* of one user, root apart; 0: no limit */
	/* Returns a malloc'd JSON text for STATUS (also the xattr user.mapping.status). */
	char *(*status)(void *context, uid_t uid);
	/* For UPGRADE: its number, or -errno. */
	int (*upgrade)(void *context);
	void *context;
};

int control_create(const struct control_config *config, struct control **out);
void control_destroy(struct control *control);
uint32_t control_connections(const struct control *control, uid_t uid); /* NULL: none */
/* core_listener.event: tells who watches. */
bool control_event(struct control *control, const struct core_event *event);

#endif
