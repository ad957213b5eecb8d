/* The C library: changing one object and waiting for another in one request. */
#include "tests/sys/library.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#define MS 1000000LL

static int make(const struct mapping_mount *mount, enum mapping_type type)
{
	struct mapping_attributes a = {.type = type, .maximum = type == MAPPING_SEMAPHORE ? 3 : 0};
	int fd;

	DONE(mapping_create(mount, NULL, &a, O_RDWR, &fd, e));
	return fd;
}

static const char *state_of(int fd)
{
	static struct mapping_info info;

	DONE(mapping_get_fd(fd, &info, e));
	return info.state;
}

static void changes_and_waits(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	AUTO_CLOSE int semaphore = make(mount, MAPPING_SEMAPHORE);
	AUTO_CLOSE int event = make(mount, MAPPING_EVENT);
	struct mapping_attributes owned = {.type = MAPPING_MUTEX, .owned = true};
	AUTO_CLOSE int mutex = -1;
	int owner;

	DONE(mapping_event_set(event, e));
	assert_int_equal(
	    DONE(mapping_signal_and_wait(semaphore, "release 2", event, MAPPING_FOREVER, e)), 0);
	assert_string_equal(state_of(semaphore), "2 of 3");
	assert_string_equal(state_of(event), "unsignaled auto");
	/* What it changes can be what it waits for. */
	DONE(mapping_signal_and_wait(event, "set", event, 0, e));
	DONE(mapping_create(mount, "m", &owned, O_RDWR, &owner, e));
	mutex = DONE(mapping_open(mount, "m", MAPPING_MUTEX, O_RDWR, e));
	close(owner);
	assert_int_equal(DONE(mapping_signal_and_wait(event, "set", mutex, 1000 * MS, e)),
			 MAPPING_ABANDONED);
	mapping_mount_close(mount);
}

static void on_alarm(int number)
{
	(void)number;
}

static void the_change_stays(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	const struct itimerval soon = {{.tv_usec = 20000}, {.tv_usec = 20000}}, never = {0};
	struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART}, old;
	AUTO_CLOSE int semaphore = make(mount, MAPPING_SEMAPHORE);
	AUTO_CLOSE int event = make(mount, MAPPING_EVENT);

	REFUSED(ETIMEDOUT, "the change was made",
		mapping_signal_and_wait(semaphore, "release", event, 0, e));
	REFUSED(ETIMEDOUT, "the change was made",
		mapping_signal_and_wait(semaphore, "release", event, 10 * MS, e));
	sigaction(SIGALRM, &action, &old);
	setitimer(ITIMER_REAL, &soon, NULL);
	REFUSED(EINTR, "the change was made",
		mapping_signal_and_wait(semaphore, "release", event, MAPPING_FOREVER, e));
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	assert_string_equal(state_of(semaphore), "3 of 3");
	mapping_mount_close(mount);
}

static void refused_as_a_whole(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);
	struct mapping_attributes a = {.set_size = true, .size = 4096};
	AUTO_CLOSE int semaphore = make(mount, MAPPING_SEMAPHORE);
	AUTO_CLOSE int event = make(mount, MAPPING_EVENT);
	AUTO_CLOSE int reader = -1, writer = -1, map = -1;

	DONE(mapping_create(mount, NULL, &a, O_RDWR, &map, e));
	close(library_make(mount, "e", (struct mapping_attributes){.type = MAPPING_EVENT}));
	reader = DONE(mapping_open(mount, "e", MAPPING_EVENT, O_RDONLY, e));
	writer = DONE(mapping_open(mount, "e", MAPPING_EVENT, O_WRONLY, e));
	DONE(mapping_event_set(event, e));
	REFUSED(EINVAL, "its words", mapping_signal_and_wait(semaphore, "set", event, 0, e));
	REFUSED(EOVERFLOW, "maximum", mapping_signal_and_wait(semaphore, "release 4", event, 0, e));
	REFUSED(EINVAL, "36 bytes",
		mapping_signal_and_wait(semaphore, "release 0000000000000000000000000000000000001",
					event, 0, e));
	REFUSED(EINVAL, "negative", mapping_signal_and_wait(semaphore, "release", event, -1, e));
	REFUSED(EINVAL, "one line", mapping_signal_and_wait(semaphore, "", event, 0, e));
	REFUSED(EINVAL, "a mapping", mapping_signal_and_wait(semaphore, "release", map, 0, e));
	REFUSED(EINVAL, "a mapping", mapping_signal_and_wait(map, "release", event, 0, e));
	REFUSED(EBADF, "for writing", mapping_signal_and_wait(reader, "set", event, 0, e));
	REFUSED(EBADF, "for reading", mapping_signal_and_wait(semaphore, "release", writer, 0, e));
	REFUSED(EBADF, "", mapping_signal_and_wait(semaphore, "release", 1000, 0, e));
	REFUSED(EBADF, "", mapping_signal_and_wait(1000, "release", event, 0, e));
	assert_string_equal(state_of(semaphore), "0 of 3");
	assert_string_equal(state_of(event), "signaled auto");
	mapping_mount_close(mount);
}

/* Ping-pong: each lets the other go and waits; an event that got lost would end it. */
struct player {
	const struct mapping_mount *mount;
	const char *mine, *others;
	int rounds, failures;
};

static void *play(void *context)
{
	struct player *player = context;
	AUTO_CLOSE int mine =
	    mapping_open(player->mount, player->mine, MAPPING_EVENT, O_RDWR, NULL);
	AUTO_CLOSE int others =
	    mapping_open(player->mount, player->others, MAPPING_EVENT, O_RDWR, NULL);

	for (int i = 0; i < player->rounds; i++)
		if (mapping_signal_and_wait(others, "set", mine, 60000 * MS, NULL))
			player->failures++;
	return NULL;
}

static void ping_pong_while_workers_die(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, NULL);
	struct player players[] = {{mount, "ping", "pong", 3000, 0},
				   {mount, "pong", "ping", 3000, 0}};
	pthread_t threads[2];

	sys_time_limit(sys, 120);
	close(library_make(mount, "ping", (struct mapping_attributes){.type = MAPPING_EVENT}));
	close(library_make(mount, "pong", (struct mapping_attributes){.type = MAPPING_EVENT}));
	sys_start_killer(sys, 5, 40);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, play, &players[i]), 0);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	assert_true(sys_stop_killer(sys) > 0);
	assert_int_equal(players[0].failures, 0);
	assert_int_equal(players[1].failures, 0);
	/* Each set was taken once, but for the last of the one that waited longer. */
	assert_string_equal(library_info(mount, "ping").state, "unsignaled auto");
	assert_string_equal(library_info(mount, "pong").state, "unsignaled auto");
	mapping_mount_close(mount);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(changes_and_waits),
    SYS_TEST_BOTH_MODES(the_change_stays),
    SYS_TEST_BOTH_MODES(refused_as_a_whole),
    SYS_TEST_BOTH_MODES(ping_pong_while_workers_die),
};

int main(void)
{
	return sys_run_tests("library: signal and wait", tests);
}
