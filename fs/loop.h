/* The worker's event loop over epoll. One thread. A source embeds struct loop_source and is called
 * back with the epoll events that are ready. A source may remove and free itself (or any other
 * source) from its callback. */
#ifndef MAPPINGFS_FS_LOOP_H
#define MAPPINGFS_FS_LOOP_H

#include <stdint.h>

struct loop;

struct loop_source {
	int fd; /* borrowed; the owner closes it after loop_remove() */
	void (*ready)(struct loop_source *source, uint32_t events);
};

struct loop *loop_create(void); /* NULL: no memory or descriptors */
void loop_destroy(struct loop *loop);
int loop_add(struct loop *loop, struct loop_source *source, uint32_t events); /* 0 or -errno */
int loop_change(struct loop *loop, struct loop_source *source, uint32_t events);
void loop_remove(struct loop *loop, struct loop_source *source);
/* Is looked at after each other source as well: nobody can keep it waiting by being many. */
void loop_prefer(struct loop *loop, struct loop_source *source); /* NULL: none */
/* The preferred source has more to do: it is called again before the loop sleeps. */
void loop_again(struct loop *loop);
/* Runs until loop_stop(). Returns the code given to it. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop, int code);

#endif
