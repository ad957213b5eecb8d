"""What is measured, on what, and what is to be reached: tables, and the arithmetic on them."""

import statistics
from dataclasses import dataclass

BASE = "shm"
GOAL_TARGET = "passthrough"

FREE = "free"
PINNED = "pinned"
PLACEMENTS = {
    FREE: "client and daemon run on any CPU",
    PINNED: "client and daemon (all its processes and threads) on one and the same CPU",
}

MS = 1e6  # nanoseconds


@dataclass(frozen=True)
class Goal:
    """A bound on the speed relative to /dev/shm, or on a time where `absolute` is set."""

    bound: float
    text: str
    absolute: bool = False

    def met(self, value):
        return value <= self.bound if self.absolute else value >= self.bound


@dataclass(frozen=True)
class Measure:
    """`key` is the name of one number among those that mapbench's measure `run` prints."""

    key: str
    run: str
    title: str
    rate: bool
    placements: tuple = (FREE,)
    goal: Goal = None


BOTH = (FREE, PINNED)

MEASURES = (
    Measure("view_write", "view", "view: memset", True, goal=Goal(0.98, "≥ 0.98")),
    Measure("view_read", "view", "view: read", True, goal=Goal(0.98, "≥ 0.98")),
    Measure("first_touch", "touch", "first touch", True, goal=Goal(10, "≥ 10× faster")),
    Measure("second_view", "touch", "touch, second view", True, goal=Goal(20, "≥ 20× faster")),
    Measure("read", "blocks", "read 1 MiB blocks", True, goal=Goal(0.95, "≥ 0.95")),
    Measure("write", "blocks", "write 1 MiB blocks", True, goal=Goal(0.95, "≥ 0.95")),
    Measure("open_close", "open_close", "open + close", False, BOTH, Goal(1 / 9, "≤ 9× slower")),
    Measure("cycle", "cycle", "open, mmap, touch, munmap, close", False, BOTH,
            Goal(1 / 2.5, "≤ 2.5× slower")),
    Measure("create_unlink", "create_unlink", "create + close + unlink", False, BOTH),
    Measure("stat", "stat", "stat", False, BOTH),
)

STALL = Measure("stall", "stall", "longest stall, worker killed", False,
                goal=Goal(20 * MS, "≤ 20 ms", absolute=True))

RUNS = tuple(dict.fromkeys(m.run for m in MEASURES))


def keys_of(run):
    return [m for m in MEASURES if m.run == run]


def runs_pinned(run):
    return any(PINNED in m.placements for m in keys_of(run))


def rows():
    """Every (measure, placement) of the table, free placement first."""
    for placement in (FREE, PINNED):
        for measure in MEASURES:
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
        """Speed relative to /dev/shm, more is faster, whatever the unit: a ratio of medians."""
        value = self.median(placement, measure.key, target)
        base = self.median(placement, measure.key, BASE)
        if not value or not base:
            return None
        return value / base if measure.rate else base / value

    def verdicts(self):
        """(measure, value, "PASS" or "MISS") of each goal that could be measured."""
        out = []
        for measure in MEASURES:
            value = self.speed(measure, FREE, GOAL_TARGET)
            if measure.goal and value is not None:
                out.append((measure, value, "PASS" if measure.goal.met(value) else "MISS"))
        stall = self.median(FREE, STALL.key, GOAL_TARGET)
        if stall is not None:
            failed = sum(self.of(FREE, "stall_errors", GOAL_TARGET))
            met = STALL.goal.met(stall) and not failed
            out.append((STALL, stall, "PASS" if met else "MISS"))
        return out

    def verdict(self, measure, placement):
        if placement != FREE:
            return ""
        return next((v for m, _, v in self.verdicts() if m.key == measure.key), "")
