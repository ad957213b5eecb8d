/* Pages whose writing failed. */
#ifndef MAPPINGFS_CORE_REDIRTY_H
#define MAPPINGFS_CORE_REDIRTY_H

#include <stdint.h>

/* Makes every page of the file that is in memory dirty again, unchanged, so that the next flush
 * writes it. fd must be open for reading and writing. Pages, or -errno. Blocks. */
int64_t redirty(int fd);

#endif
