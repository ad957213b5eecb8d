"""Results for people: the table on the terminal, and the one for the README."""

from bench_measures import (BASE, FREE, GOAL_TARGET, MEASURES, MS, NAMES, PINNED, PLACEMENTS,
                            RATE, STALL, WAITS, rows)


def amount(measure, value):
    if value is None:
        return "–"
    if measure.unit == RATE:
        return f"{value / 1e9:.2f} GB/s" if value < 1e10 else f"{value / 1e9:.1f} GB/s"
    plain = {"bytes": f"{value:.0f} B", "count": f"{value:.2f}", "times": f"{value:.2f}×"}
    return plain.get(measure.unit) or duration(value)


def duration(ns):
    for unit, scale in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= scale:
            return f"{three_digits(ns / scale)} {unit}"
    return f"{ns:.0f} ns"


def three_digits(value):
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def ratio(measure, speed):
    """Relative to the base: near 1 as a factor, further off in words."""
    if speed is None:
        return ""
    if measure.unit == "bytes":
        return f"{1 / speed:.2f}×"
    if measure.unit == RATE and 0.5 < speed < 1.5:
        return f"{speed:.3f}×" if 0.9 < speed < 1.1 else f"{speed:.2f}×"
    if speed >= 1:
        return f"{three_digits(speed)}× faster"
    return f"{three_digits(1 / speed)}× slower"


def cell(results, measure, placement, target):
    value = results.median(placement, measure.key, target)
    text = amount(measure, value)
    speed = results.speed(measure, placement, target)
    return text if target == measure.base or speed is None else f"{text}  {ratio(measure, speed)}"


def stall_cell(results, target):
    worst = results.of(FREE, STALL.key, target)
    if not worst:
        return "–"
    text = f"{duration(results.median(FREE, STALL.key, target))}"
    if target == BASE:
        return f"{text} without kills"
    failed = int(sum(results.of(FREE, "stall_errors", target)))
    return f"{text} (worst {duration(max(worst))}), {failed} errors"


def body(results, targets, measures):
    """Lines of a table: title, one cell a target, goal, verdict; None between the parts."""
    placement_before = FREE
    for measure, placement in rows(measures):
        if placement != placement_before:
            if measures is MEASURES and results.of(FREE, STALL.key, BASE):
                yield stall_line(results, targets)
            yield None
            placement_before = placement
        if not any(results.of(placement, measure.key, t.name) for t in targets):
            continue
        goal = measure.goal_in(placement)
        title = measure.title + ("" if placement == FREE else f", {placement}")
        yield [title, *(cell(results, measure, placement, t.name) for t in targets),
               goal.text if goal else "", results.verdict(measure, placement)]


def stall_line(results, targets):
    return [STALL.title, *(stall_cell(results, t.name) for t in targets), STALL.goal.text,
            results.verdict(STALL, FREE)]


def header(targets):
    return ["measure", *(t.title for t in targets), "goal", ""]


def notes(results, targets, facts):
    yield (f"Linux {facts['kernel']}, {facts['cpus']} CPUs ({facts['cpu_model']}), "
           f"{facts['date']}; median of {facts['rounds']} rounds, targets interleaved in each.")
    yield " ".join(f"{name}: {what}." for name, what in PLACEMENTS.items())
    yield (f"Ratios are to the first column in the same run; goals are for {GOAL_TARGET}. "
           f"First touch: {facts['touch_bytes'] >> 20} MiB in 4 KiB steps.")
    yield from zeroing_note(results)
    yield (f"Longest stall: of a caller that opens, maps, touches and closes in a loop, over "
           f"{facts['kills_per_round']} kills of the worker a round; median of the rounds.")
    yield from requests_note(results)
    yield from names_note(results, facts)
    for target in targets:
        if target.reason:
            yield f"{target.title}: not measured: {target.reason}"
    for name, idle in facts.get("idle_cpu_ns", {}).items():
        yield (f"mappingfs {name}, idle: {idle / MS:.3f} ms of CPU in "
               f"{facts['idle_seconds']:g} s (supervisor and worker)")
    if facts.get("quick"):
        yield "A quick run: small sizes, few rounds; not for comparing."
    for warning in facts.get("warnings", []):
        yield f"warning: {warning}"
    for error in results.errors:
        yield f"FAILED: {error}"


def zeroing_note(results):
    """Whoever touches first, the kernel zeroes the page: that bounds what can be won."""
    store = results.median(FREE, "view_write", BASE)
    touch = results.median(FREE, "first_touch", BASE)
    if store and touch:
        yield (f"New pages are zeroed by the kernel: at the {store / 1e9:.1f} GB/s this machine "
               f"stores with, first touch can at most be {three_digits(store / touch)}× faster.")


def requests_note(results):
    """What is left of a round trip of processes when the kernel's part is taken away."""
    parts = []
    for placement in (FREE, PINNED):
        trip = results.median(placement, "round_trip", GOAL_TARGET)
        pair = results.median(placement, "ping_pong", GOAL_TARGET)
        if trip and pair:
            parts.append(f"{three_digits(pair / trip)} {placement}")
    if parts:
        yield ("A round trip of two processes is four requests, two writes and two reads; measured "
               f"in FUSE round trips: {', '.join(parts)}.")


def names_note(results, facts):
    if results.median(FREE, "lookup_flat", GOAL_TARGET):
        yield (f"Many names: {facts['names']:,} in place of 1,000,000 on this machine. "
               if facts["names"] != 1000000 else "") + (
            "Looked up are names that the kernel has forgotten; the worker's answers are counted. "
            "Memory: what a mount with so many objects takes more than one with 1,000, by object; "
            "looked-up: the kernel knows all of them; idle: it has forgotten all. Kernel memory "
            "is that of names and inodes in the backing tree, and of files in /dev/shm.")


def parts(results, targets):
    """The tables: (targets that are columns, lines)."""
    served = [t for t in targets if t.is_mappingfs]
    for columns, measures in (
            ([t for t in targets if not t.is_reference], MEASURES),
            ([*(t for t in targets if t.is_reference), *served], WAITS),
            ([*(t for t in targets if t.name == BASE), *served], NAMES)):
        lines = list(body(results, columns, measures))
        if any(lines):
            yield columns, lines


def table_of(columns, lines):
    lines = [header(columns), *lines]
    widths = [max(len(line[i]) for line in lines if line) for i in range(len(lines[0]))]
    rule = "-" * (sum(widths) + 2 * len(widths) - 2)
    for number, line in enumerate(lines):
        if line:
            yield "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip()
        if not line or not number:
            yield rule
    yield ""


def table(results, targets, facts):
    out = [line for part in parts(results, targets) for line in table_of(*part)]
    return "\n".join([*out, *notes(results, targets, facts), ""])


def markdown_of(columns, lines):
    yield "| " + " | ".join(header(columns)[:-1]) + " | reached |"
    yield "|" + "---|" * (len(columns) + 3)
    for line in filter(None, lines):
        reached = {"PASS": "yes", "MISS": "no"}.get(line[-1], "")
        yield ("| " + " | ".join(text.replace("  ", ", ") for text in line[:-1])
               + f" | {reached} |")
    yield ""


def markdown(results, targets, facts):
    out = [line for part in parts(results, targets) for line in markdown_of(*part)]
    return "\n".join([*out, *(f"{note}  " for note in notes(results, targets, facts)), ""])
