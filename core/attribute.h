/* user.mapping.*: what can be read of an object or a directory, and the little of it that can be
 * set. */
#ifndef MAPPINGFS_CORE_ATTRIBUTE_H
#define MAPPINGFS_CORE_ATTRIBUTE_H

#include "core/internal.h"

/* The name behind "user.mapping.", or NULL if it is none of these. */
const char *attribute_name(const char *xattr);
/* Each takes such a name. -ENODATA: this object has none. */
int attribute_get(struct core *core, struct slot *slot, const char *name, char *buffer,
		  size_t size); /* length */
int attribute_set(struct core *core, struct slot *slot, const char *name, const char *value,
		  size_t size, uid_t uid); /* -EPERM: not to be set; not by this user */
int attribute_clear(struct core *core, struct slot *slot, const char *name, uid_t uid);
/* Those that attribute_get() has a value for, as listxattr(2) writes them. Length or -ERANGE. */
int attribute_list(struct core *core, struct slot *slot, char *buffer, size_t size);

#endif
