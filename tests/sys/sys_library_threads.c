/* The C library from many threads at once: on one mount, one name, one descriptor. */
#include "tests/sys/library.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { THREADS = 24, ROUNDS = 40 };

struct crew {
	const struct mapping_mount *mount;
	int (*work)(struct crew *crew, int number);
	atomic_int next, failures;
	/* what the work is on */
	int event;     /* one descriptor for all */
	long *counter; /* in a view, not atomic */
	atomic_int waiting, released, made;
};

static void *run_work(void *context)
{
	struct crew *crew = context;

	if (crew->work(crew, atomic_fetch_add(&crew->next, 1)))
		atomic_fetch_add(&crew->failures, 1);
	return NULL;
}

static void start(struct crew *crew, pthread_t *threads)
{
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_work, crew), 0);
}

static void finish(struct crew *crew, pthread_t *threads)
{
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(crew->failures, 0);
}

static void run(struct crew *crew)
{
	pthread_t threads[THREADS];

	start(crew, threads);
	finish(crew, threads);
}

/* --- all of a life, each thread its own objects --- */

static int live(struct crew *crew, int number)
{
	const struct mapping_attributes a = {
	    .set_size = true, .size = 8192, .lifetime = MAPPING_PERMANENT};
	struct mapping_info info;
	char name[32];

	snprintf(name, sizeof name, "own-%d", number);
	for (int i = 0; i < ROUNDS; i++) {
		AUTO_CLOSE int fd = -1, again = -1;
		AUTO_FREE char *status = NULL;
		int *view;

		CHECK(mapping_create(crew->mount, name, &a, O_RDWR, &fd, NULL) == 0);
		CHECK(mapping_create(crew->mount, name, &a, 0, NULL, NULL) == -EEXIST);
		again = mapping_open(crew->mount, name, MAPPING_MAPPING, O_RDWR, NULL);
		CHECK(again >= 0);
		CHECK(mapping_map(again, 0, 0, MAPPING_READ | MAPPING_WRITE, NULL, (void **)&view,
				  NULL, NULL) == 0);
		*view = number;
		CHECK(mapping_get(crew->mount, name, &info, NULL) == 0 && info.size == 8192);
		CHECK(info.creator_pid == getpid());
		CHECK(mapping_status(crew->mount, &status, NULL) == 0);
		CHECK(*view == number && mapping_unmap(view, 8192, NULL) == 0);
		CHECK(mapping_remove(crew->mount, name, NULL) == 0);
	}
	return 0;
}

static void threads_live_side_by_side(void **state)
{
	struct sys *sys = *state;
	struct mapping_mount *mount = library_mount(sys, "size=64m");
	struct crew crew = {.mount = mount, .work = live};

	run(&crew);
	assert_string_equal(library_names(sys), "");
	mapping_mount_close(mount);
}

/* --- one name: each round it is made once, the others find it --- */

static int make_or_find(struct crew *crew, int number)
{
	const struct mapping_attributes a = {
	    .type = MAPPING_SEMAPHORE, .maximum = 1000, .existing = true};

	(void)number;
	for (int i = 0; i < ROUNDS; i++) {
		AUTO_CLOSE int fd = -1;
		char name[32];
		int rc;

		snprintf(name, sizeof name, "round-%d", i);
		rc = mapping_create(crew->mount, name, &a, O_RDWR, &fd, NULL);
		CHECK(rc == 0 || rc == MAPPING_EXISTED);
		atomic_fetch_add(&crew->made, rc == 0);
		CHECK(mapping_semaphore_release(fd, 1, NULL) == 0);
	}
	return 0;
}

static void one_makes_what_all_open(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	struct crew crew = {.mount = mount, .work = make_or_find};

	run(&crew);
	assert_int_equal(crew.made, ROUNDS);
	for (int i = 0; i < ROUNDS; i++) {
		char name[32], wanted[32];

		snprintf(name, sizeof name, "round-%d", i);
		snprintf(wanted, sizeof wanted, "%d of 1000", THREADS);
		assert_string_equal(library_info(mount, name).state, wanted);
	}
	mapping_mount_close(mount);
}

/* The same while the name goes again and again: what is opened is always usable. */
static int make_or_find_and_remove(struct crew *crew, int number)
{
	const struct mapping_attributes a = {.type = MAPPING_EVENT, .existing = true};

	for (int i = 0; i < ROUNDS; i++) {
		AUTO_CLOSE int fd = -1;
		int rc = mapping_create(crew->mount, "fleeting", &a, O_RDWR, &fd, NULL);

		/* Unlucky sixteen times in a row. */
		if (rc == -EEXIST)
			continue;
		CHECK(rc == 0 || rc == MAPPING_EXISTED);
		CHECK(mapping_event_set(fd, NULL) == 0);
		if (number % 3 == 0) {
			rc = mapping_remove(crew->mount, "fleeting", NULL);
			CHECK(rc == 0 || rc == -ENOENT);
		}
	}
	return 0;
}

static void a_name_comes_and_goes(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	struct crew crew = {.mount = mount, .work = make_or_find_and_remove};

	run(&crew);
	mapping_mount_close(mount);
}

/* --- a mutex of the mount keeps threads apart, each with its own handle --- */

static int count_up(struct crew *crew, int number)
{
	AUTO_CLOSE int mutex = mapping_open(crew->mount, "mutex", MAPPING_MUTEX, O_RDWR, NULL);

	CHECK(mutex >= 0);
	for (int i = 0; i < ROUNDS; i++) {
		long value;

		CHECK(mapping_wait(mutex, number % 2 ? MAPPING_FOREVER : 60000000000, NULL) == 0);
		value = *(volatile long *)crew->counter;
		sched_yield();
		*(volatile long *)crew->counter = value + 1;
		CHECK(mapping_mutex_release(mutex, NULL) == 0);
	}
	return 0;
}

static void a_mutex_excludes(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	const struct mapping_attributes mutex = {.type = MAPPING_MUTEX};
	AUTO_CLOSE int fd = library_make(
	    mount, "counter", (struct mapping_attributes){.set_size = true, .size = 4096});
	struct crew crew = {.mount = mount, .work = count_up};

	DONE(mapping_create(mount, "mutex", &mutex, 0, NULL, e));
	DONE(mapping_map(fd, 0, 0, MAPPING_READ | MAPPING_WRITE, NULL, (void **)&crew.counter, NULL,
			 e));
	run(&crew);
	assert_int_equal(*crew.counter, THREADS * ROUNDS);
	DONE(mapping_unmap(crew.counter, 4096, e));
	mapping_mount_close(mount);
}

/* --- one descriptor: many wait on it, another changes it --- */

static int wait_for_event(struct crew *crew, int number)
{
	const int fds[] = {crew->event};

	atomic_fetch_add(&crew->waiting, 1);
	if (number % 3 == 0)
		CHECK(mapping_wait(crew->event, MAPPING_FOREVER, NULL) == 0);
	else if (number % 3 == 1)
		CHECK(mapping_wait(crew->event, 60000000000, NULL) == 0);
	else
		CHECK(mapping_wait_many(fds, 1, false, MAPPING_FOREVER, NULL, NULL) == 0);
	atomic_fetch_add(&crew->released, 1);
	return 0;
}

static void one_descriptor_serves_all(void **state)
{
	struct mapping_mount *mount = library_mount(*state, NULL);
	AUTO_CLOSE int fd =
	    library_make(mount, "e", (struct mapping_attributes){.type = MAPPING_EVENT});
	struct crew crew = {.mount = mount, .work = wait_for_event, .event = fd};
	pthread_t threads[THREADS];

	start(&crew, threads);
	WAIT_UNTIL(20, crew.waiting == THREADS);
	/* An automatic event: one each. What is set while none is there to take it is kept. */
	for (int i = 1; i <= THREADS; i++) {
		DONE(mapping_event_set(fd, e));
		WAIT_UNTIL(20, crew.released == i);
	}
	finish(&crew, threads);
	assert_string_equal(library_info(mount, "e").state, "unsignaled auto");
	mapping_mount_close(mount);
}

static const struct CMUnitTest tests[] = {
    SYS_TEST_BOTH_MODES(threads_live_side_by_side), SYS_TEST_BOTH_MODES(one_makes_what_all_open),
    SYS_TEST_BOTH_MODES(a_name_comes_and_goes),     SYS_TEST_BOTH_MODES(a_mutex_excludes),
    SYS_TEST_BOTH_MODES(one_descriptor_serves_all),
};

int main(void)
{
	return sys_run_tests("library: threads", tests);
}
