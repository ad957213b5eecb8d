"""The picture: speed relative to /dev/shm as bars from a line, on a logarithmic scale."""

import math
from xml.sax.saxutils import escape

from bench_measures import BASE, FREE, GOAL_TARGET, PINNED, STALL, rows
from bench_report import amount, duration, ratio

COLOURS = {"passthrough": "#0b6fa4", "cached": "#e39b1d", "bindfs": "#8b929c"}
INK, FAINT, GRID, GOAL = "#1c2530", "#66707d", "#dfe3e8", "#c0262d"

WIDTH = 1000
LEFT, RIGHT = 262, 30
TOP = 112
BAR, BAR_GAP, GROUP_GAP = 12, 2, 15
SECTION = 34


class Scale:
    """Maps a relative speed to x; whole decades, with room for the numbers beside the bars."""

    def __init__(self, speeds):
        logs = [math.log10(s) for s in speeds] or [0]
        self.low = min(min(logs) - 0.75, -1)
        self.high = max(max(logs) + 0.85, 1)

    def x(self, speed):
        share = (math.log10(speed) - self.low) / (self.high - self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def decades(self):
        return range(math.ceil(self.low), math.floor(self.high) + 1)


def text(x, y, content, size=12, anchor="start", fill=INK, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'fill="{fill}" font-weight="{weight}">{escape(content)}</text>')


def rect(x, y, width, height, fill, extra=""):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{fill}" {extra}/>')


def line(x, top, bottom, colour, width=1, extra=""):
    return (f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" '
            f'stroke="{colour}" stroke-width="{width}" {extra}/>')


def decade_name(decade):
    if not decade:
        return "/dev/shm"
    return f"{10 ** abs(decade):,}× {'faster' if decade > 0 else 'slower'}"


def bar(scale, y, measure, target, speed, goal):
    at, one = scale.x(speed), scale.x(1)
    left, width = min(at, one), max(abs(at - one), 1.5)
    out = [rect(left, y, width, BAR, COLOURS[target.name], 'rx="1.5"')]
    # The number stands at the bar's end, or beyond the goal's mark where that is further out.
    mark = scale.x(goal.bound) if goal else at
    if speed >= 1:
        out.append(text(max(at, mark) + (10 if mark > at else 5), y + BAR - 2,
                        ratio(measure, speed), 10.5, "start", FAINT))
    else:
        out.append(text(min(at, mark) - 5, y + BAR - 2, ratio(measure, speed), 10.5, "end", FAINT))
    return out


def goal_mark(scale, y, goal):
    """A red tick across the bar the goal is for, its foot to the side that counts as reached."""
    x = scale.x(goal.bound)
    tip = f"{x + 6:.1f},{y + BAR / 2:.1f}"
    return [line(x, y - 3, y + BAR + 3, GOAL, 2),
            f'<polygon points="{x:.1f},{y + BAR / 2 - 4:.1f} {tip} '
            f'{x:.1f},{y + BAR / 2 + 4:.1f}" fill="{GOAL}"/>']


def group(results, targets, scale, y, measure, placement):
    """One measure: its name and /dev/shm's own figure on the left, a bar for each target."""
    height = len(targets) * (BAR + BAR_GAP)
    base = amount(measure, results.median(placement, measure.key, BASE))
    middle = y + height / 2
    out = [text(LEFT - 14, middle - 3, measure.title, 12.5, "end"),
           text(LEFT - 14, middle + 12, f"/dev/shm: {base}", 10.5, "end", FAINT)]
    marks = []
    for target in targets:
        speed = results.speed(measure, placement, target.name)
        goal = measure.goal_in(placement) if target.name == GOAL_TARGET else None
        if speed is not None:
            out += bar(scale, y, measure, target, speed, goal)
        if goal:
            marks = goal_mark(scale, y, goal)
        y += BAR + BAR_GAP
    return out + marks


def section(y, title):
    """A band across the picture, over the axis' lines."""
    return (rect(24, y, WIDTH - 24 - RIGHT, SECTION - 12, "#eef1f5")
            + text(34, y + 15.5, title, 12, weight="bold"))


def legend(targets):
    out, x = [], LEFT
    for target in targets:
        out += [rect(x, 62, 14, 12, COLOURS[target.name], 'rx="1.5"'),
                text(x + 20, 72.5, target.title, 12.5)]
        x += 44 + 7.2 * len(target.title)
    out += [line(x + 4, 60, 76, GOAL, 2),
            f'<polygon points="{x + 4},64 {x + 10},68 {x + 4},72" fill="{GOAL}"/>',
            text(x + 18, 72.5, "goal for passthrough", 12.5)]
    return out


def axis(scale, bottom):
    out = []
    for decade in scale.decades():
        x = scale.x(10 ** decade)
        strong = not decade
        out.append(line(x, TOP - 8, bottom, INK if strong else GRID, 1.4 if strong else 1))
        out.append(text(x, TOP - 14, decade_name(decade), 11, "middle", INK if strong else FAINT,
                        "bold" if strong else "normal"))
    return out


def stall_text(results, targets, facts):
    parts = []
    for target in targets:
        value = results.median(FREE, STALL.key, target.name)
        if value is not None and target.name != BASE:
            parts.append(f"{target.title} {duration(value)}")
    if not parts:
        return None
    floor = results.median(FREE, STALL.key, BASE)
    floor_text = f"; /dev/shm without kills {duration(floor)}" if floor else ""
    return (f"Longest stall of a caller over {facts['kills_per_round']} kills of the worker: "
            f"{', '.join(parts)}{floor_text}")


def footer(results, targets, facts, y):
    lines = [stall_text(results, targets, facts),
             f"Linux {facts['kernel']}, {facts['cpus']} CPUs, {facts['date'][:10]}; median of "
             f"{facts['rounds']} rounds, file systems interleaved in each round.",
             *(f"{t.title}: not measured: {t.reason}" for t in targets if t.reason)]
    return [text(24, y + 18 * i, content, 11.5, fill=INK if not i else FAINT)
            for i, content in enumerate(c for c in lines if c)]


def svg(results, targets, facts):
    shown = [t for t in targets if t.name != BASE and not t.reason]
    speeds = [s for m, p in rows() for t in shown if (s := results.speed(m, p, t.name))]
    speeds += [m.goal.bound for m, p in rows() if m.goal_in(p)]
    scale = Scale(speeds)
    parts, y, placement_before = [], TOP + 8, FREE
    for measure, placement in rows():
        if placement != placement_before:
            placement_before = placement
            parts.append(section(y, "client and daemon pinned to one CPU"))
            y += SECTION
        if results.median(placement, measure.key, BASE) is None:
            continue
        parts += group(results, shown, scale, y, measure, placement)
        y += len(shown) * (BAR + BAR_GAP) + GROUP_GAP
    bottom = y
    height = bottom + 84
    head = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" font-family="DejaVu Sans, Verdana, sans-serif">',
            rect(0, 0, WIDTH, height, "#ffffff"),
            text(24, 32, "mappingfs: speed relative to /dev/shm", 19, weight="bold"),
            text(24, 51, "logarithmic; bars to the right are faster than plain calls on /dev/shm, "
                 "to the left slower", 12, fill=FAINT)]
    return "\n".join([*head, *legend(shown), *axis(scale, bottom), *parts,
                      *footer(results, targets, facts, bottom + 28), "</svg>", ""])
