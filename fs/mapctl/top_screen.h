/* The terminal that `mapctl top` has to itself. */
#ifndef MAPPINGFS_MAPCTL_TOP_SCREEN_H
#define MAPPINGFS_MAPCTL_TOP_SCREEN_H

#include <stdbool.h>
#include <stdint.h>

/* False: standard output is none. Signals that end or stop the program give the terminal back. */
bool screen_begin(void);
void screen_end(void); /* also without screen_begin() */
void screen_size(unsigned *width, unsigned *height);

enum screen_event { SCREEN_TIME, SCREEN_RESIZED, SCREEN_END };

/* Until the deadline (CLOCK_MONOTONIC ns), the key q, a new size, or the end of who reads. */
enum screen_event screen_wait(uint64_t deadline);

#endif
