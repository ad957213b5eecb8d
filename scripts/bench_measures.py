"""What is measured, on what, and what is to be reached: tables, and the arithmetic on them."""

import statistics
from dataclasses import dataclass

BASE = "shm"
WAIT_BASE = "pipe"
GOAL_TARGET = "passthrough"

FREE = "free"
PINNED = "pinned"
APART = "apart"
PLACEMENTS = {
    FREE: "client and daemon run on any CPU",
    PINNED: "client and daemon (all its processes and threads) on one and the same CPU",
    APART: "two processes that wait for each other on a CPU each, the daemon on any",
}

MS = 1e6  # nanoseconds


@dataclass(frozen=True)
class Goal:
    """A bound on the speed relative to the base, or on the figure itself where `absolute`."""

    bound: float
    text: str
    absolute: bool = False
    placements: tuple = (FREE,)

    def met(self, value):
        return value <= self.bound if self.absolute else value >= self.bound


@dataclass(frozen=True)
class Measure:
    """`key` is the name of one number among those that mapbench's measure `run` prints.

    `unit` is "time" (ns), "rate" (bytes/s), "bytes", "count", or "times" (a ratio of its own).
    `base` is the target that the others are related to; None: it stands for itself.
    """

    key: str
    run: str
    title: str
    unit: str
    placements: tuple = (FREE,)
    goal: Goal = None
    base: str = BASE

    def goal_in(self, placement):
        return self.goal if self.goal and placement in self.goal.placements else None


BOTH = (FREE, PINNED)
THREE = (FREE, PINNED, APART)
TIME, RATE = "time", "rate"

MEASURES = (
    Measure("view_write", "view", "view: memset", RATE, goal=Goal(0.98, "≥ 0.98")),
    Measure("view_read", "view", "view: read", RATE, goal=Goal(0.98, "≥ 0.98")),
    Measure("first_touch", "touch", "first touch", RATE, goal=Goal(10, "≥ 10× faster")),
    Measure("second_view", "touch", "touch, second view", RATE, goal=Goal(20, "≥ 20× faster")),
    Measure("read", "blocks", "read 1 MiB blocks", RATE, goal=Goal(0.95, "≥ 0.95")),
    Measure("write", "blocks", "write 1 MiB blocks", RATE, goal=Goal(0.95, "≥ 0.95")),
    Measure("open_close", "open_close", "open + close", TIME, BOTH, Goal(1 / 9, "≤ 9× slower")),
    Measure("cycle", "cycle", "open, mmap, touch, munmap, close", TIME, BOTH,
            Goal(1 / 2.5, "≤ 2.5× slower")),
    Measure("create_unlink", "create_unlink", "create + close + unlink", TIME, BOTH),
    Measure("create_many", "many", "create + close, 100,000 objects, each", TIME),
    Measure("remove_many", "many", "unlink, 100,000 objects, each", TIME),
    Measure("stat", "stat", "stat", TIME, BOTH),
)

# Processes that wait for each other: beside a pipe, and a futex in shared memory.
WAITS = (
    Measure("wake", "wake", "set → a waiting process is awake", TIME, THREE, base=WAIT_BASE),
    Measure("ping_pong", "ping_pong", "round trip of two processes, two events", TIME, THREE,
            Goal(1 / 2, "≤ 2× slower", placements=THREE), WAIT_BASE),
    Measure("signal_wait", "ping_pong", "… by signal-and-wait, one request each", TIME, THREE,
            Goal(1 / 2, "≤ 2× slower", placements=THREE), WAIT_BASE),
    Measure("take_release", "semaphore", "semaphore, uncontended: take + release", TIME, BOTH,
            base=WAIT_BASE),
    Measure("round_trip", "semaphore", "… one FUSE round trip (statx)", TIME, BOTH, base=None),
    Measure("requests", "semaphore", "… requests to the worker", "count", (FREE,),
            Goal(2, "≤ 2", absolute=True), None),
    Measure("crowd", "crowd", "one event lets 1,000 go: the last one is awake", TIME, BOTH,
            base=WAIT_BASE),
)

# One mount with 1,000 names and one with 1,000,000, and what they cost: see bench_names.py.
NAMES = (
    Measure("lookup_flat_few", "names", "look up a cold name, 1,000 in one directory", TIME,
            base=None),
    Measure("lookup_flat", "names", "… 1,000,000 in one directory", TIME, base=None),
    Measure("lookup_flat_ratio", "names", "… ratio", "times",
            goal=Goal(1.3, "≤ 1.3×", absolute=True), base=None),
    Measure("lookup_spread_few", "names", "look up a cold name, 1,000 in 1,000 directories", TIME,
            base=None),
    Measure("lookup_spread", "names", "… 1,000,000 in 1,000 directories", TIME, base=None),
    Measure("lookup_spread_ratio", "names", "… ratio", "times",
            goal=Goal(1.3, "≤ 1.3×", absolute=True), base=None),
    Measure("populate", "names", "make 1,000,000 names (mknod), each", TIME),
    Measure("memory_known", "names", "daemon memory per looked-up object", "bytes", base=None),
    Measure("memory_idle", "names", "daemon memory per idle object", "bytes",
            goal=Goal(256, "≤ 256 B", absolute=True), base=None),
    Measure("kernel_idle", "names", "kernel memory (slab) per idle object", "bytes"),
)

STALL = Measure("stall", "stall", "longest stall, worker killed", TIME,
                goal=Goal(20 * MS, "≤ 20 ms", absolute=True))

RUNS = tuple(dict.fromkeys(m.run for m in MEASURES))
WAIT_RUNS = tuple(dict.fromkeys(m.run for m in WAITS))
ALL_RUNS = (*RUNS, STALL.run, *WAIT_RUNS, "names")


def keys_of(run):
    return [m for m in (*MEASURES, *WAITS) if m.run == run]


def placements_of(run):
    return [p for p in PLACEMENTS if any(p in m.placements for m in keys_of(run))]


def rows(measures=MEASURES):
    """Every (measure, placement) of a table, free placement first."""
    for placement in PLACEMENTS:
        for measure in measures:
            if placement in measure.placements:
                yield measure, placement


class Results:
    """All samples of a run, by placement, measure and target, and what follows from them."""

    def __init__(self, samples=None):
        self.samples = samples or {}
        self.errors = []

    def add(self, placement, key, target, value):
        by_target = self.samples.setdefault(placement, {}).setdefault(key, {})
        by_target.setdefault(target, []).append(value)

    def of(self, placement, key, target):
        return self.samples.get(placement, {}).get(key, {}).get(target, [])

    def median(self, placement, key, target):
        values = self.of(placement, key, target)
        return statistics.median(values) if values else None

    def speed(self, measure, placement, target):
        """Speed relative to the base, more is faster, whatever the unit: a ratio of medians."""
        value = self.median(placement, measure.key, target)
        base = self.median(placement, measure.key, measure.base)
        if not value or not base:
            return None
        return value / base if measure.unit == RATE else base / value

    def judged(self, measure, placement):
        if measure.goal.absolute:
            return self.median(placement, measure.key, GOAL_TARGET)
        return self.speed(measure, placement, GOAL_TARGET)

    def verdicts(self):
        """(measure, placement, value, "PASS" or "MISS") of each goal that could be measured."""
        out = []
        for measure, placement in (*rows(MEASURES), *rows(WAITS), *rows(NAMES)):
            goal = measure.goal_in(placement)
            value = self.judged(measure, placement) if goal else None
            if value is not None:
                out.append((measure, placement, value, "PASS" if goal.met(value) else "MISS"))
        stall = self.median(FREE, STALL.key, GOAL_TARGET)
        if stall is not None:
            failed = sum(self.of(FREE, "stall_errors", GOAL_TARGET))
            met = STALL.goal.met(stall) and not failed
            out.append((STALL, FREE, stall, "PASS" if met else "MISS"))
        return out

    def verdict(self, measure, placement):
        return next((v for m, p, _, v in self.verdicts()
                     if m.key == measure.key and p == placement), "")
