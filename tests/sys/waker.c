#include "tests/sys/waker.h"

#include "core/util.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define STAND_STILL_MS 1500
#define TICK_MS        100
#define WORDS          (PAGE_BYTES / sizeof(uint32_t))

static uint64_t sum_of(const struct writers_shared *progress)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < WRITERS; i++)
		sum += progress->done[i];
	return sum;
}

/* Every word that is 0: a free mutex has no use for sleepers. Where nobody sleeps it does nothing.
 */
static long wake_free_words(const char *lock_file)
{
	AUTO_CLOSE int fd = open(lock_file, O_RDWR | O_CLOEXEC);
	volatile uint32_t *words =
	    fd < 0 ? MAP_FAILED : mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	long woken = 0;

	if (words == MAP_FAILED)
		return 0;
	for (size_t i = 0; i < WORDS; i++)
		if (words[i] == 0)
			woken += syscall(SYS_futex, &words[i], FUTEX_WAKE, 1, NULL, NULL, 0);
	munmap((void *)(uintptr_t)words, PAGE_BYTES);
	return woken;
}

static _Noreturn void watch(const struct waker *waker, const struct writers_shared *progress,
			    const char *lock_file)
{
	const struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
	uint64_t last = 0;
	unsigned still = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		uint64_t now = sum_of(progress);
		still = now == last ? still + TICK_MS : 0;
		last = now;
		if (still >= STAND_STILL_MS && wake_free_words(lock_file) > 0)
			++*waker->wakes;
		nanosleep(&tick, NULL);
	}
}

void waker_start(struct waker *waker, const struct writers_shared *progress, const char *lock_file)
{
	waker->wakes =
	    mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(waker->wakes, MAP_FAILED);
	waker->pid = fork();
	assert_true(waker->pid >= 0);
	if (!waker->pid)
		watch(waker, progress, lock_file);
}

unsigned waker_stop(struct waker *waker)
{
	unsigned wakes;

	kill(waker->pid, SIGKILL);
	waitpid(waker->pid, NULL, 0);
	wakes = *waker->wakes;
	munmap(waker->wakes, PAGE_BYTES);
	return wakes;
}
