/* Under a sanitizer: the file its report goes to (log_path=) is opened while paths lead there. */
#include "fs/confine.h"

#ifdef __SANITIZE_ADDRESS__

#include "core/util.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each runtime has a report of its own, and a function of this name. */
static void set_report(const char *library, int fd)
{
	void *runtime = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
	void (*set)(void *fd) = NULL;

	if (runtime)
		*(void **)&set = dlsym(runtime, "__sanitizer_set_report_fd");
	if (set)
		set((void *)(intptr_t)fd); /* NOLINT */
}

void confine_open_report(void)
{
	static const char *const runtimes[] = {"libasan.so.8", "libubsan.so.1"};
	const char *options = getenv("ASAN_OPTIONS");
	const char *at = options ? strstr(options, "log_path=") : NULL;
	char path[4096];
	int fd;

	if (!at)
		return;
	at += strlen("log_path=");
	snprintf(path, sizeof path, "%.*s.%d", (int)strcspn(at, ":"), at, getpid());
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	for (size_t i = 0; fd >= 0 && i < ARRAY_SIZE(runtimes); i++)
		set_report(runtimes[i], fd);
}

#else

void confine_open_report(void)
{
}

#endif
