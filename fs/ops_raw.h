/* Requests that libfuse 3.14 does not know: answered without it. */
#ifndef MAPPINGFS_FS_OPS_RAW_H
#define MAPPINGFS_FS_OPS_RAW_H

#include <stdbool.h>
#include <stddef.h>

bool ops_raw(void *worker, const void *request, size_t length);

#endif
