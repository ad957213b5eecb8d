/* Command lines and mount options. An argument a line. */
#include "fs/options.h"
#include "tests/fuzz/input.h"

#include <stdbool.h>

enum { MAX_ARGUMENTS = 32 };

static void use(struct options *options)
{
	static const uint64_t memories[] = {0, 4096, 16ULL << 30, UINT64_MAX};
	char why[512], flags[512];

	options_user_flags(options, flags, sizeof flags);
	MUST(memchr(flags, '\0', sizeof flags));
	for (size_t i = 0; i < sizeof memories / sizeof memories[0]; i++) {
		struct options copy = *options;

		if (options_complete(&copy, i & 1 ? 1000 : 0, 0, memories[i], why, sizeof why) == 0)
			MUST(copy.allow_other == 0 || copy.allow_other == 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	char *argv[MAX_ARGUMENTS + 1] = {(char *)"mappingfs"}, *text, *rest, why[512] = "";
	struct options options;
	size_t length;
	int argc = 1;

	text = (char *)input_bytes(&in, size, 1, &length);
	for (char *at = strtok_r(text, "\n", &rest); at && argc < MAX_ARGUMENTS;
	     at = strtok_r(NULL, "\n", &rest))
		argv[argc++] = strdup(at);
	free(text);
	if (options_parse(&options, argc, argv, why, sizeof why) == 0) {
		MUST(options.source);
		MUST(options.mountpoint || options.help || options.version);
		use(&options);
	} else {
		MUST(why[0] && memchr(why, '\0', sizeof why));
	}
	options_finish(&options);
	for (int i = 1; i < argc; i++)
		free(argv[i]);
	return 0;
}
