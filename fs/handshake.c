#include "fs/handshake.h"

#include "fs/kernel.h"

#include <string.h>

/* fuse_init_in grew: a short one reads as zeros. */
static struct fuse_init_in init_of(const void *request, size_t length)
{
	struct fuse_init_in init = {0};
	size_t header = sizeof(struct fuse_in_header);

	if (length > header) {
		size_t size = length - header < sizeof init ? length - header : sizeof init;
		memcpy(&init, (const char *)request + header, size);
	}
	return init;
}

bool handshake_offers_passthrough(const void *request, size_t length)
{
	struct fuse_init_in init = init_of(request, length);

	return init.minor >= KERNEL_MINOR_PASSTHROUGH && (init.flags & KERNEL_INIT_EXT) &&
	       (init.flags2 & KERNEL_PASSTHROUGH);
}

bool handshake_extends_setxattr(const void *request, size_t length)
{
	return init_of(request, length).flags & FUSE_SETXATTR_EXT;
}

bool handshake_sends_again(const void *request, size_t length)
{
	struct fuse_init_in init = init_of(request, length);

	return (init.flags & KERNEL_INIT_EXT) && (init.flags2 & KERNEL_HAS_RESEND);
}

void handshake_complete(const void *request, size_t length, void *answer, size_t answer_length,
			bool passthrough)
{
	struct fuse_init_in init = init_of(request, length);
	struct kernel_init_out out;

	if (answer_length < sizeof out)
		return;
	memcpy(&out, answer, sizeof out);
	/* Without it the kernel asks for security.capability before every write. */
	out.flags |= init.flags & KERNEL_HANDLE_KILLPRIV_V2;
	out.flags |= init.flags & FUSE_SETXATTR_EXT;
	if (passthrough) {
		out.minor = KERNEL_MINOR_PASSTHROUGH;
		out.flags |= KERNEL_INIT_EXT;
		out.flags2 |= KERNEL_PASSTHROUGH;
		out.max_stack_depth = 1;
	}
	memcpy(answer, &out, sizeof out);
}
