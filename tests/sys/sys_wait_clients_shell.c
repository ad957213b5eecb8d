/* Objects to wait on from the shell: what reads a file waits, what writes one changes it. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/wire.h"
#include "tests/sys/wait_client.h"

/* $E is the event. sh is dash, which reads byte by byte; bash reads more and seeks back. Not here:
 * `busybox cat`, which uses sendfile(2), and for that the kernel takes a file of size 0 as empty;
 * and bash's `read -t`, which has no time-out for regular files. */
static const struct reader {
	const char *command, *says;
} readers[] = {
    {"exec cat $E", "signaled"},
    {"exec cat <$E", "signaled"},
    {"exec cat $E $E", "signaled"}, /* the second waits again: set twice, see below */
    {"exec head -n 1 $E", "signaled"},
    {"exec head -c 100 $E", "signaled"},
    {"head -c 3 $E; echo", "sig"},
    {"exec tail -n 1 $E", "signaled"},
    {"exec dd if=$E bs=64 count=1 status=none", "signaled"},
    {"exec dd if=$E bs=1 status=none", "signaled"},
    {"exec timeout 60 cat $E", "signaled"},
    {"exec sed 1q $E", "signaled"},
    {"exec awk '{ print $1; exit }' $E", "signaled"},
    {"exec grep -m1 signaled $E", "signaled"},
    {"exec wc -l <$E", "1"},
    {"exec sort $E", "signaled"},
    {"exec xargs -a $E echo", "signaled"},
    {"exec busybox head -n 1 $E", "signaled"},
    {"read line <$E; echo $line", "signaled"},
    {"while read line; do echo $line; done <$E", "signaled"},
    {"exec 3<$E; read line <&3; echo $line", "signaled"},
    {"echo $(cat $E)", "signaled"},
    {"exec bash -c 'read -r line <$E; echo $line'", "signaled"},
    {"exec bash -c 'mapfile -t lines <$E; echo ${lines[@]}'", "signaled"},
    {"exec bash -c 'echo $(<$E)'", "signaled"},
    {"exec bash -c 'exec {fd}<>$E; read -u $fd line; echo $line'", "signaled"},
    {"exec perl -ne print $E", "signaled"},
    {"exec openssl base64 -in $E", "c2lnbmFsZWQK"},
};

static const char *mount_with_event(struct sys *sys, uint32_t flags)
{
	const char *path;

	sys_time_limit(sys, 120);
	sys_mount(sys, "size=16m");
	path = make_event(sys, "event", flags);
	assert_int_equal(setenv("E", path, 1), 0);
	return path;
}

static unsigned reads_of(const char *command)
{
	return strstr(command, "$E $E") ? 2 : 1;
}

static void what_reads_waits(void **state)
{
	const char *path = mount_with_event(*state, 0);
	AUTO_CLOSE int fd = open_object(path, O_RDWR);

	for (size_t i = 0; i < ARRAY_SIZE(readers); i++) {
		const char *command = readers[i].command;
		struct wait_client client;

		wait_client_run(&client, *state, command);
		for (unsigned k = reads_of(command); k > 0; k--) {
			wait_client_blocks(&client);
			assert_false(k == reads_of(command) && wait_client_has_said(&client));
			assert_int_equal(words(fd, "set\n"), 4);
			WAIT_UNTIL(30, !ready(fd));
		}
		for (unsigned k = reads_of(command); k > 0; k--)
			wait_client_says(&client, "%s", readers[i].says);
		assert_int_equal(wait_client_end(&client), 0);
	}
	assert_int_equal(try_wait(path), -EAGAIN);
}

static const char *const writers[] = {
    "echo set >$E",
    "echo set >>$E",
    "printf 'set\\n' >$E",
    "printf set >$E",
    "echo set | tee $E >/dev/null",
    "echo set | tee -a $E >/dev/null",
    "echo set | dd of=$E status=none",
    "echo set | dd of=$E conv=notrunc status=none",
    "echo set | cat >$E",
    "exec 3>$E; echo set >&3",
    "exec 3<>$E; echo reset >&3; echo set >&3; exec 3>&-",
    "{ echo set; echo reset; echo set; } >$E",
    "echo set >$E.tmp; cat $E.tmp >$E; rm $E.tmp",
    "echo set >/tmp/word.$$; cp /tmp/word.$$ $E; rm /tmp/word.$$",
    "busybox sh -c 'echo set >$E'",
    "bash -c 'echo set >$E'",
    "bash -c 'set -o noclobber; echo set >|$E'",
    "awk 'BEGIN { print \"set\" >ENVIRON[\"E\"] }'",
    "sed -n 'w '$E <<-x\nset\nx\n",
};

static void what_writes_sets(void **state)
{
	struct sys *sys = *state;
	const char *path = mount_with_event(sys, 0);

	for (size_t i = 0; i < ARRAY_SIZE(writers); i++) {
		if (sys_shell(sys, "%s", writers[i]) || *sys->output)
			fail_msg("%s: %s", writers[i], sys->output);
		if (try_wait(path) != WAIT_SIGNALED)
			fail_msg("%s: not signaled", writers[i]);
		assert_int_equal(try_wait(path), -EAGAIN);
	}
}

static void junk_is_said_to_be_junk(void **state)
{
	struct sys *sys = *state;
	const char *path = mount_with_event(sys, 0);

	assert_int_not_equal(sys_shell(sys, "echo junk >$E"), 0); /* dash does not say why */
	assert_int_not_equal(sys_shell(sys, "LC_ALL=C bash -c 'echo junk >$E'"), 0);
	assert_non_null(strstr(sys->output, "Invalid argument"));
	assert_int_not_equal(sys_shell(sys, "LC_ALL=C dd if=/dev/zero of=$E bs=10 count=1"), 0);
	assert_non_null(strstr(sys->output, "Invalid argument"));
	assert_int_equal(try_wait(path), -EAGAIN);
	assert_int_not_equal(sys_shell(sys, "dd if=$E iflag=nonblock status=none"), 0);
	assert_non_null(strstr(sys->output, "Resource temporarily unavailable"));
	assert_int_not_equal(sys_shell(sys, "truncate -s 10 $E"), 0);
	assert_int_equal(sys_shell(sys, "test -e $E && test ! -s $E && test -f $E"), 0);
}

/* Who gives up, or is ended, has taken nothing. */
static void giving_up_takes_nothing(void **state)
{
	static const struct {
		const char *command;
		int status;
	} given_up[] = {
	    {"timeout 0.2 cat $E", 124},
	    {"timeout -s INT 0.2 cat $E", 124},
	    {"timeout -s KILL 0.2 cat $E", 137},
	    {"timeout 0.2 dd if=$E status=none", 124},
	    {"timeout 0.2 sh -c 'read line <$E'", 124},
	    {"bash -c 'read line <$E' & sleep 0.1; kill -9 $!; wait $!", 137},
	    {"cat $E & sleep 0.1; kill -TERM $!; wait $!", 143},
	    {"cat $E & sleep 0.1; kill -9 $!; wait $!", 137},
	};
	struct sys *sys = *state;
	const char *path = mount_with_event(sys, 0);

	for (size_t i = 0; i < ARRAY_SIZE(given_up); i++) {
		int status = sys_shell(sys, "%s", given_up[i].command);

		if (status != given_up[i].status)
			fail_msg("%s: %d %s", given_up[i].command, status, sys->output);
		assert_int_equal(sys_shell(sys, "echo set >$E"), 0);
		assert_int_equal(try_wait(path), WAIT_SIGNALED);
		assert_int_equal(try_wait(path), -EAGAIN);
	}
}

/* Jobs that take a token each while they work: never more than two at once, and all get through. */
static void a_semaphore_bounds_jobs(void **state)
{
	static const char worker[] = "for i in 1 2 3; do\n"
				     "	cat $S >/dev/null; echo + >>$L\n"
				     "	sleep 0.01\n"
				     "	echo - >>$L; echo release >$S\n"
				     "done\n";
	struct sys *sys = *state;
	const char *log = sys_path(sys, "../log");
	char command[1024];

	sys_time_limit(sys, 120);
	sys_mount(sys, "size=16m");
	setenv("S", make_semaphore(sys, "tokens", 2, 2), 1);
	setenv("L", log, 1);
	snprintf(command, sizeof command, "for j in 1 2 3 4 5; do (%s) & done; wait", worker);
	assert_int_equal(sys_shell(sys, "%s", command), 0);
	assert_int_equal(sys_shell(sys, "awk '{ n += ($0 == \"+\" ? 1 : -1); if (n > m) m = n }\n"
					"END { print NR, n, (m > 2) }' $L"),
			 0);
	assert_string_equal(sys->output, "30 0 0\n");
	assert_int_equal(sys_shell(sys, "LC_ALL=C bash -c 'echo release >$S'"), 1);
	assert_non_null(strstr(sys->output, "Value too large"));
}

/* The descriptor is the owner: the shell keeps it, and what it starts has it, too. */
static void a_mutex_in_a_script(void **state)
{
	static const char add[] = "for i in $(seq 10); do\n"
				  "	exec 3<>$M; read got <&3\n"
				  "	n=$(cat $L); echo $((n + 1)) >$L\n"
				  "	echo release >&3; exec 3>&-\n"
				  "done\n";
	struct sys *sys = *state;
	char command[1024];

	sys_time_limit(sys, 120);
	sys_mount(sys, "size=16m");
	setenv("M", make_mutex(sys, "mutex"), 1);
	setenv("L", sys_path(sys, "../count"), 1);
	snprintf(command, sizeof command,
		 "echo 0 >$L; for j in 1 2 3; do (%s) & done; wait; cat $L $M", add);
	assert_int_equal(sys_shell(sys, "%s", command), 0);
	assert_string_equal(sys->output, "30\nacquired\n");
	assert_int_equal(sys_shell(sys, "exec 3<>$M; read got <&3; echo $got"), 0);
	assert_string_equal(sys->output, "abandoned\n"); /* cat above ended as its owner */
	assert_int_not_equal(sys_shell(sys, "LC_ALL=C bash -c 'echo release >$M'"), 0);
	assert_non_null(strstr(sys->output, "not permitted"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    SYS_TEST_BOTH_MODES(what_reads_waits),
	    SYS_TEST_BOTH_MODES(what_writes_sets),
	    SYS_TEST_BOTH_MODES(junk_is_said_to_be_junk),
	    SYS_TEST_BOTH_MODES(giving_up_takes_nothing),
	    SYS_TEST_BOTH_MODES(a_semaphore_bounds_jobs),
	    SYS_TEST_BOTH_MODES(a_mutex_in_a_script),
	};

	return sys_run_tests("wait clients: shell", tests);
}
