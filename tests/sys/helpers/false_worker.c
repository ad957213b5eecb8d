/* In place of mappingfs-worker: says what the real one says of its layout, and then does not work.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	const char *real = getenv("MAPPINGFS_TEST_REAL_WORKER");

	if (argc > 1 && !strcmp(argv[1], "--layout") && real)
		execv(real, argv);
	return 1;
}
