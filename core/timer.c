/* Waitable timer: signaled when its time has come, once or again and again.
 *
 * The time stands in the slot, so nothing needs to run for a timer that nobody knows: when it
 * becomes known it is looked at. Relative times go on while the machine sleeps (CLOCK_BOOTTIME);
 * absolute ones follow the wall clock, also when that is set. */
#include "core/log.h"
#include "core/util.h"
#include "core/wait.h"
#include "core/wait_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#define LONGEST_NS (100ULL * 365 * 24 * 3600 * 1000000000) /* a hundred years */
struct alarm {
	struct timer timer;
	struct core *core;
	uint64_t node;
};

static clockid_t clock_of(const struct slot *slot)
{
	return slot->wait.options & WAIT_REALTIME ? CLOCK_REALTIME : CLOCK_BOOTTIME;
}

static int timer_configure(struct core *core, struct slot *slot, const struct core_setup *setup,
			   const char **why)
{
	(void)why;
	STAGE(&core->state, slot->wait.options, setup->manual ? WAIT_MANUAL : 0);
	return 0;
}

static bool timer_signaled(struct core *core, const struct slot *slot, uint64_t handle)
{
	(void)core;
	(void)handle;
	return slot->wait.value;
}

static enum wait_result timer_take(struct core *core, struct slot *slot, uint64_t handle)
{
	(void)handle;
	if (!(slot->wait.options & WAIT_MANUAL))
		STAGE(&core->state, slot->wait.value, 0);
	return WAIT_SIGNALED;
}

/* Digits, perhaps a point and more digits, as nanoseconds when `unit` of them make one. */
static const char *parse_decimal(const char *text, uint64_t unit, uint64_t *out)
{
	uint64_t whole = 0, part = 0, scale = unit;

	if (!isdigit((unsigned char)*text))
		return NULL;
	for (; isdigit((unsigned char)*text); text++) {
		whole = whole * 10 + (uint64_t)(*text - '0');
		if (whole > UINT64_MAX / 2 / unit)
			return NULL;
	}
	if (*text == '.') {
		if (!isdigit((unsigned char)*++text))
			return NULL;
		for (; isdigit((unsigned char)*text); text++) {
			scale /= 10;
			part += scale * (uint64_t)(*text - '0');
		}
	}
	*out = whole * unit + part;
	return text;
}

/* "1.5", "2s", "250ms", "10us". */
static bool parse_span(const char *text, uint64_t *ns)
{
	static const struct {
		const char *suffix;
		uint64_t ns;
	} units[] = {{"", 1000000000}, {"s", 1000000000}, {"ms", 1000000}, {"us", 1000}};
	size_t length = strspn(text, "0123456789.");

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		const char *end;

		if (strcmp(text + length, units[i].suffix) != 0)
			continue;
		end = parse_decimal(text, units[i].ns, ns);
		return end == text + length && *ns <= LONGEST_NS;
	}
	return false;
}

static int timer_set(struct core *core, struct slot *slot, char **words)
{
	uint32_t options = slot->wait.options & ~(uint32_t)WAIT_REALTIME;
	uint64_t due, period = 0;
	const char *end;

	if (!words[1] || (words[2] && (words[3] || !parse_span(words[2], &period) || !period)))
		return -EINVAL;
	if (words[1][0] == '@') {
		end = parse_decimal(words[1] + 1, 1000000000, &due);
		if (!end || *end)
			return -EINVAL;
		options |= WAIT_REALTIME;
	} else {
		if (!parse_span(words[1], &due))
			return -EINVAL;
		due += clock_ns(CLOCK_BOOTTIME);
	}
	STAGE(&core->state, slot->wait.options, options);
	STAGE(&core->state, slot->wait.due, due ? due : 1);
	STAGE(&core->state, slot->wait.period, period);
	STAGE(&core->state, slot->wait.value, 0);
	return 0;
}

static int timer_change(struct core *core, struct slot *slot, char **words,
			const struct wait_caller *caller)
{
	(void)caller;
	if (strcmp(words[0], "set") == 0)
		return timer_set(core, slot, words);
	if (strcmp(words[0], "cancel") != 0 || words[1])
		return -EINVAL;
	STAGE(&core->state, slot->wait.due, 0);
	STAGE(&core->state, slot->wait.period, 0);
	return 0;
}

/* --- the alarm: as long as the object is known and set --- */

static struct alarm *alarm_of(struct core *core, const struct slot *slot)
{
	return pointers_get(&core->waits->alarms, state_index(&core->state, slot));
}

/* Its time has come: the next one is set, and those that were missed are one. */
static void expire(struct core *core, struct slot *slot, uint64_t now)
{
	uint64_t due = slot->wait.due, period = slot->wait.period;

	due = period ? due + ((now - due) / period + 1) * period : 0;
	STAGE(&core->state, slot->wait.due, due);
	STAGE(&core->state, slot->wait.value, 1);
	wait_stage_unsaved(core, slot);
	state_commit(&core->state);
}

/* From now on the kernel tells when the wall clock is set (timerfd_create(2), ECANCELED). */
static void watch_clock(struct core *core)
{
	const struct itimerspec never = {.it_value.tv_sec = INT32_MAX};
	struct epoll_event event = {.events = EPOLLIN};

	if (core->clock_fd >= 0)
		return;
	core->clock_fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
	event.data.fd = core->clock_fd;
	if (core->clock_fd < 0 ||
	    timerfd_settime(core->clock_fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never,
			    NULL) < 0 ||
	    epoll_ctl(core->epoll_fd, EPOLL_CTL_ADD, core->clock_fd, &event) < 0)
		log_warn("timers set to a time of day will not follow the clock: %m");
}

static void alarm_fire(struct timer *timer);

static void alarm_set(struct core *core, struct slot *slot, uint64_t delay)
{
	struct alarm *alarm = alarm_of(core, slot);

	if (!alarm) {
		alarm = calloc(1, sizeof *alarm);
		if (!alarm)
			return;
		*alarm = (struct alarm){
		    .timer.fire = alarm_fire, .core = core, .node = state_node(&core->state, slot)};
		if (pointers_put(&core->waits->alarms, state_index(&core->state, slot), alarm) <
		    0) {
			free(alarm);
			return;
		}
	}
	if (slot->wait.options & WAIT_REALTIME)
		watch_clock(core);
	timers_arm(&core->timers, &alarm->timer, delay);
}

static void timer_forget(struct core *core, struct slot *slot)
{
	struct alarm *alarm = alarm_of(core, slot);

	if (!alarm)
		return;
	timers_cancel(&core->timers, &alarm->timer);
	pointers_remove(&core->waits->alarms, state_index(&core->state, slot));
	free(alarm);
}

static void timer_changed(struct core *core, struct slot *slot)
{
	uint64_t now = clock_ns(clock_of(slot));

	if (slot->wait.due && slot->wait.due <= now)
		expire(core, slot, now);
	if (slot->wait.due)
		alarm_set(core, slot, slot->wait.due - now);
	else
		timer_forget(core, slot);
}

static void alarm_fire(struct timer *timer)
{
	struct alarm *alarm = CONTAINER_OF(timer, struct alarm, timer);
	struct core *core = alarm->core;
	struct slot *slot = state_slot(&core->state, alarm->node);

	if (!slot)
		return;
	timer_changed(core, slot);
	wait_changed(core, slot);
}

static void fire_one(void *context, void *item)
{
	struct alarm *alarm = item;

	(void)context;
	alarm_fire(&alarm->timer);
}

void wait_clock_was_set(struct core *core)
{
	uint64_t expirations;

	if (read(core->clock_fd, &expirations, sizeof expirations) < 0 && errno != ECANCELED)
		return;
	pointers_each(&core->waits->alarms, fire_one, NULL);
}

static uint64_t wall_minus_boot(void)
{
	return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
}

/* The next mount may be after another boot. */
static void timer_pack(struct wait_state *wait)
{
	if (!wait->due || (wait->options & WAIT_REALTIME))
		return;
	wait->due += wall_minus_boot();
	wait->options |= WAIT_DUE_SHIFTED;
}

static void timer_unpack(struct wait_state *wait)
{
	uint64_t shift = wall_minus_boot();

	if (!(wait->options & WAIT_DUE_SHIFTED))
		return;
	wait->due = wait->due > shift ? wait->due - shift : 1;
	wait->options &= ~(uint32_t)WAIT_DUE_SHIFTED;
}

static int timer_print(struct core *core, const struct slot *slot, char *buffer, size_t size)
{
	const struct wait_state *w = &slot->wait;
	uint64_t due = w->due;
	char when[64] = "", every[48] = "";

	(void)core;
	if (due && !(w->options & WAIT_REALTIME))
		due += wall_minus_boot();
	if (due)
		snprintf(when, sizeof when, " due %llu.%09llu",
			 (unsigned long long)(due / 1000000000),
			 (unsigned long long)(due % 1000000000));
	if (due && w->period)
		snprintf(every, sizeof every, " period %llu.%09llu",
			 (unsigned long long)(w->period / 1000000000),
			 (unsigned long long)(w->period % 1000000000));
	return snprintf(buffer, size, "%s %s%s%s", w->value ? "signaled" : "unsignaled",
			w->options & WAIT_MANUAL ? "manual" : "auto", when, every);
}

const struct wait_type wait_timer = {
    .configure = timer_configure,
    .signaled = timer_signaled,
    .take = timer_take,
    .change = timer_change,
    .changed = timer_changed,
    .forget = timer_forget,
    .pack = timer_pack,
    .unpack = timer_unpack,
    .print = timer_print,
};
