/* Output that goes on: past stdio, so that who reads sees it at once and nothing is left to be
 * written when nobody does. */
#ifndef MAPPINGFS_MAPCTL_OUTPUT_H
#define MAPPINGFS_MAPCTL_OUTPUT_H

#include "fs/mapctl/mapctl.h"

enum output {
	OUTPUT_DONE,
	OUTPUT_NO_READER, /* nobody reads any more: the end, quietly */
	OUTPUT_FAILED,    /* it has been said why */
};

/* Before the first output: a reader that leaves is told as such, not by a signal. */
void output_begin(void);
enum output output_put(const struct mapctl *mapctl, const char *text, size_t length);
/* What poll(2) says of standard output, asked for nothing: is the reader gone? */
bool output_is_over(short revents);

#endif
