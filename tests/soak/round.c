#include "tests/soak/round.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "core/util.h"
#include "fs/client/mapping.h"
#include "tests/soak/loads.h"
#include "tests/soak/model.h"

/* --- what the loads of a mount share --- */

/* At rest all tokens are there, but for those of which nobody knows what became of them. */
static void check_tokens(struct common *common, unsigned number, int shared)
{
	AUTO_CLOSE int fd = openat(shared, "tokens", O_RDWR | O_CLOEXEC);
	int value = waitable_value(shared, "tokens");
	unsigned missing = SOAK_TOKENS - (unsigned)value;

	if (value < 0 || value > SOAK_TOKENS || missing > common->lost_tokens) {
		soak_violation("mount %u: %d tokens, there should be %u to %u", number, value,
			       SOAK_TOKENS - common->lost_tokens, SOAK_TOKENS);
		return;
	}
	if (missing && mapping_semaphore_release(fd, missing, NULL) != 0)
		soak_violation("mount %u: tokens cannot be given back", number);
	common->lost_tokens = 0;
}

static uint64_t counter_value(int shared)
{
	AUTO_CLOSE int fd = openat(shared, "counter", O_RDONLY | O_CLOEXEC);
	uint64_t value = 0;

	if (fd < 0 || pread(fd, &value, sizeof value, 0) != sizeof value)
		soak_violation("the counter cannot be read: %s", strerror(errno));
	return value;
}

static void check_mutex(struct common *common, unsigned number, int shared)
{
	AUTO_CLOSE int mutex = openat(shared, "mutex", O_RDWR | O_CLOEXEC);
	int rc = mapping_wait(mutex, SOAK_PATIENCE * 1000000000LL, NULL);
	uint64_t value = counter_value(shared);

	if (rc < 0 || (common->owner && rc != MAPPING_ABANDONED))
		soak_violation("mount %u: the mutex, %s, says %d", number,
			       common->owner ? "abandoned" : "free", rc);
	if (rc == MAPPING_ABANDONED && !common->owner)
		common->abandoned_unsure++;
	if (rc == MAPPING_ABANDONED && common->owner)
		common->abandoned++;
	common->owner = 0;
	if (value != common->counter && !(rc == MAPPING_ABANDONED && value == common->counter + 1))
		soak_violation("mount %u: counted %llu, should be %llu", number,
			       (unsigned long long)value, (unsigned long long)common->counter);
	common->counter = value;
	if (rc >= 0 && mapping_mutex_release(mutex, NULL) != 0)
		soak_violation("mount %u: the mutex cannot be released", number);
	if (common->abandoned_unsure > common->lock_deaths)
		soak_violation("mount %u: %u times abandoned without anybody's death", number,
			       common->abandoned_unsure - common->lock_deaths);
}

static void check_shared(struct mounted *mounted)
{
	char path[SOAK_PATH + 16];
	AUTO_CLOSE int shared = -1;

	snprintf(path, sizeof path, "%s/shared", mounted->common->path);
	shared = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	check_tokens(mounted->common, mounted->number, shared);
	check_mutex(mounted->common, mounted->number, shared);
}

/* --- rounds --- */

static void check_all(struct mounted *mounts)
{
	for (unsigned m = 0; m < soak->mounts; m++) {
		check_shared(&mounts[m]);
		for (unsigned i = 0; i < soak->loads; i++)
			verify_load(&soak->load[m][i], &soak->common[m]);
		balance_check(&mounts[m]);
	}
}

void round_warm_up(struct mounted *mounts)
{
	soak->every = true;
	loads_start();
	while (loads_reap(), loads_running())
		usleep(2000);
	soak->every = false;
	loads_orphans_gone(0);
	for (unsigned m = 0; m < soak->mounts; m++) {
		check_shared(&mounts[m]);
		balance_take(&mounts[m]);
	}
}

/* Remembered and found again: objects, contents, and what can be waited for. */
static void remount(struct mounted *mounted)
{
	if (!mounted->common->store || mount_end(mounted) < 0 || mount_start(mounted) < 0)
		return;
	for (unsigned i = 0; i < soak->loads; i++)
		verify_load(&soak->load[mounted->number][i], mounted->common);
	mounted->restarts_seen = 0;
	balance_check(mounted);
}

void round_run(const struct round *round, struct chaos *chaos)
{
	uint64_t until = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(round->seconds * 1e9);

	loads_start();
	while (clock_ns(CLOCK_MONOTONIC) < until && !soak->violations) {
		usleep(pick(2 * round->pause_ms) * 1000);
		loads_reap();
		chaos_thaw(false);
		chaos_once(chaos);
	}
	chaos_settle();
	loads_stop();
	loads_orphans_gone(round->watchdog);
	check_all(chaos->mounts);
	for (unsigned m = 0; m < soak->mounts; m++) {
		chaos->mounts[m].restarts +=
		    mount_number(&chaos->mounts[m], "restarts") - chaos->mounts[m].restarts_seen;
		chaos->mounts[m].restarts_seen = mount_number(&chaos->mounts[m], "restarts");
		growth_note(&chaos->mounts[m], round->second_half, chaos->calm);
	}
	for (unsigned m = 0; m < soak->mounts && round->remount; m++)
		remount(&chaos->mounts[m]);
}

void round_last(struct mounted *mounts)
{
	for (unsigned m = 0; m < soak->mounts; m++) {
		growth_check(&mounts[m]);
		for (unsigned i = 0; i < soak->loads; i++)
			remove_load(&soak->load[m][i], &soak->common[m]);
		balance_check(&mounts[m]);
	}
}
