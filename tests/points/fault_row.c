/* fault_row FAULTS PROGRAM[:FILTER]...: runs system tests whose daemons meet these faults all the
 * time, and says how often. A fault that nobody met is a failure: the row would test nothing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/points/faults.h"

static int run(char *program)
{
	char *filter = strchr(program, ':');
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (filter) {
			*filter = '\0';
			setenv("MAPPINGFS_TEST_FILTER", filter + 1, 1);
		}
		execl(program, program, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int report(const struct fault_plan *plan)
{
	int unmet = 0;

	for (int i = 0; i < FAULTS; i++) {
		const struct fault_row *row = &plan->rows[i];

		if (!row->error)
			continue;
		printf("%s: %s %u times, of %u calls\n", fault_name((enum fault_call)i),
		       strerrorname_np(row->error), row->hits, row->calls);
		unmet += !row->hits;
	}
	if (unmet)
		printf("nobody met %d of the faults\n", unmet);
	return unmet;
}

int main(int argc, char **argv)
{
	char path[] = "/tmp/mappingfs-faults-XXXXXX";
	int fd = mkstemp(path), failed = 0;
	struct fault_plan *plan = fd < 0 ? NULL : faults_map(path);

	if (argc < 3 || !plan || fault_parse(plan, argv[1]) < 0) {
		fprintf(stderr, "fault_row NAME=ERROR[:TIMES],... PROGRAM[:FILTER]...\n");
		return 2;
	}
	close(fd);
	setenv("MAPPINGFS_FAULTS_FILE", path, 1);
	for (int i = 2; i < argc; i++)
		failed += run(argv[i]) != 0;
	failed += report(plan);
	unlink(path);
	return failed != 0;
}
