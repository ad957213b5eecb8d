"""Very many names in one mount: how long a lookup takes, and what the objects cost.

Each mode and each layout has two mounts of its own, one with few names and one with very many,
whose lookups are measured in turns.
"""

import os
import sys

from bench_measures import BASE, FREE
from bench_targets import Mappingfs, Shm, slab_bytes

FEW = 1000
LAYOUTS = {"flat": 1, "spread": 1000}
POPULATE_SECONDS = 1800
SIZE = 1 << 30


class Mount:
    """A mount for names in one layout."""

    def __init__(self, bench, target, directories):
        self.bench = bench
        self.target = target
        self.layout = f"--directories={directories}"
        self.count = 0

    def call(self, run):
        return self.bench.mapbench_call(self.layout, f"--count={self.count}", run, self.target.dir,
                                        seconds=POPULATE_SECONDS)

    def populate(self, count):
        self.count = count
        return self.call("populate")["populate"]


def started(target, workdir, name):
    directory = os.path.join(workdir, name)
    os.mkdir(directory)
    target.start(directory)
    return target


def fill(bench, large, names):
    """Makes the names; what they take, as differences to FEW of them, goes to the results."""
    target, results = large.target, bench.results
    large.populate(FEW)
    large.call("evict")
    memory, slab = target.memory(), slab_bytes()
    results.add(FREE, "populate", target.name, large.populate(names))
    # Somebody else may have made the kernel forget some of them meanwhile.
    known = target.status()["objects_known"] - FEW
    results.add(FREE, "memory_known", target.name, (target.memory() - memory) / known)
    large.call("evict")
    results.add(FREE, "memory_idle", target.name, (target.memory() - memory) / known)
    results.add(FREE, "kernel_idle", target.name, (slab_bytes() - slab) / (names - FEW))


def look_up(bench, name, layout, small, large):
    few, many = small.call("lookup")["lookup"], large.call("lookup")["lookup"]
    bench.results.add(FREE, f"lookup_{layout}_few", name, few)
    bench.results.add(FREE, f"lookup_{layout}", name, many)
    bench.results.add(FREE, f"lookup_{layout}_ratio", name, many / few)


def one_layout(bench, workdir, mode, layout):
    targets = [Mappingfs(mode, bench.binary, SIZE) for _ in range(2)]
    small, large = (Mount(bench, t, LAYOUTS[layout]) for t in targets)
    try:
        for target, what in zip(targets, ("few", "many")):
            started(target, workdir, f"names-{mode}-{layout}-{what}")
        small.populate(FEW)
        fill(bench, large, bench.sizes.names)
        for _ in range(bench.options.rounds):
            look_up(bench, mode, layout, small, large)
    finally:
        for target in targets:
            target.stop()


def plain_files(bench, workdir):
    """The same number of files in /dev/shm."""
    names = bench.sizes.names
    target = started(Shm("names"), workdir, "names-shm")
    files = Mount(bench, target, 1)
    try:
        files.populate(FEW)
        slab = slab_bytes()
        bench.results.add(FREE, "populate", BASE, files.populate(names))
        bench.results.add(FREE, "kernel_idle", BASE, (slab_bytes() - slab) / (names - FEW))
    finally:
        target.stop()


def measure_names(bench, workdir):
    bench.attempt("/dev/shm, names", plain_files, bench, workdir)
    for mode in [t.name for t in bench.targets if t.is_mappingfs and not t.reason]:
        for layout in LAYOUTS:
            print(f"{bench.sizes.names:,} names, {mode}, {layout}", file=sys.stderr, flush=True)
            bench.attempt(f"{mode}, names, {layout}", one_layout, bench, workdir, mode, layout)
