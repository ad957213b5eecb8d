"""The file systems that are measured: how each is mounted, found, pinned, and taken down."""

import json
import os
import shutil
import signal
import subprocess
import time

READY_SECONDS = 20
END_SECONDS = 10


class Unavailable(Exception):
    """This target cannot be measured here; the text says why."""


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def is_mounted(path):
    with open("/proc/self/mountinfo", encoding="utf-8") as info:
        return any(line.split()[4] == path for line in info)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def unmount(path):
    """Plainly if possible; lazily rather than leave it behind."""
    for flags in ([], [], [], ["-l"]):
        if not is_mounted(path):
            return
        if subprocess.run(["umount", *flags, path], stderr=subprocess.DEVNULL).returncode:
            time.sleep(0.2)


def last_line(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as text:
            lines = [line.strip() for line in text if line.strip()]
        return lines[-1] if lines else "no message"
    except OSError:
        return "no message"


class Target:
    """A directory to measure in. `start` raises Unavailable; `stop` may always be called."""

    name = title = ""
    is_mappingfs = is_reference = False

    def __init__(self):
        self.dir = None
        self.reason = None

    def start(self, workdir):
        raise NotImplementedError

    def stop(self):
        pass

    def pids(self):
        return []

    def options(self):
        """What mapbench is told besides the directory."""
        return []

    def describe(self):
        return {"title": self.title, "available": self.reason is None, "reason": self.reason}


class Shm(Target):
    name, title = "shm", "/dev/shm"

    def __init__(self, tag="bench"):
        super().__init__()
        self.tag = tag

    def start(self, workdir):
        if not os.path.ismount("/dev/shm"):
            raise Unavailable("/dev/shm is not a mount here: there is nothing to compare with")
        self.dir = f"/dev/shm/mapbench-{os.getpid()}-{self.tag}"
        os.mkdir(self.dir)

    def stop(self):
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)


class Reference(Target):
    """What the kernel has for waiting, without a file system."""

    is_reference = True

    def __init__(self, name):
        super().__init__()
        self.name = self.title = name

    def start(self, workdir):
        self.dir = "/"

    def options(self):
        return [f"--by={self.name}"]


class Mappingfs(Target):
    is_mappingfs = True

    def __init__(self, mode, binary, size):
        super().__init__()
        self.name = mode
        self.title = f"mappingfs {mode}"
        self.mode = mode
        self.binary = binary
        self.size = size
        self.log = None
        self.known_pids = []

    def start(self, workdir):
        self.dir = os.path.join(workdir, self.mode)
        self.log = os.path.join(workdir, f"{self.mode}.log")
        os.mkdir(self.dir)
        options = f"mode={self.mode},size={self.size}"
        with open(self.log, "wb") as log:
            # Not through a pipe: the daemon may keep its standard error for good.
            rc = subprocess.run([self.binary, "-o", options, self.dir], stdin=subprocess.DEVNULL,
                                stdout=log, stderr=log, timeout=READY_SECONDS).returncode
        if rc:
            raise Unavailable(f"mount failed with exit code {rc}: {last_line(self.log)}")
        status = self.status()
        self.pids()
        if status["mode"] != self.mode:
            raise Unavailable(f"mounted as {status['mode']}: {status.get('mode_reason')}")

    def status(self):
        try:
            return json.loads(os.getxattr(self.dir, "user.mapping.status"))
        except (OSError, ValueError) as error:
            raise Unavailable(f"no status from the mount: {error}") from error

    def pids(self):
        status = self.status()
        self.known_pids = [status["supervisor_pid"], status["worker_pid"]]
        return self.known_pids

    def memory(self):
        """Bytes of both processes, and of the state area whether mapped or not."""
        supervisor, _ = pids = self.pids()
        return sum(map(own_bytes, pids)) + memfd_bytes(supervisor, "mappingfs-state")

    def stop(self):
        if not self.dir:
            return
        unmount(self.dir)
        for sig in (None, signal.SIGTERM, signal.SIGKILL):
            alive = [pid for pid in self.known_pids if is_alive(pid)]
            for pid in alive if sig else []:
                os.kill(pid, sig)
            if wait_until(lambda: not any(map(is_alive, self.known_pids)), END_SECONDS):
                break


class Bindfs(Target):
    name, title = "bindfs", "bindfs on tmpfs"

    def __init__(self, size):
        super().__init__()
        self.size = size
        self.source = None
        self.process = None

    def start(self, workdir):
        if not shutil.which("bindfs"):
            raise Unavailable("bindfs is not installed (apt-get install bindfs)")
        self.source = os.path.join(workdir, "bindfs-source")
        self.dir = os.path.join(workdir, "bindfs")
        os.mkdir(self.source)
        os.mkdir(self.dir)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.size},mode=1777", "bench",
                        self.source], check=True)
        log = os.path.join(workdir, "bindfs.log")
        with open(log, "wb") as out:
            self.process = subprocess.Popen(["bindfs", "-f", self.source, self.dir],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        ready = wait_until(lambda: is_mounted(self.dir) or self.process.poll() is not None,
                           READY_SECONDS)
        if not ready or not is_mounted(self.dir):
            raise Unavailable(f"bindfs did not mount: {last_line(log)}")

    def pids(self):
        return [self.process.pid]

    def stop(self):
        if self.process:
            unmount(self.dir)
            try:
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.source:
            unmount(self.source)


def threads(pid):
    try:
        return [int(tid) for tid in os.listdir(f"/proc/{pid}/task")]
    except OSError:
        return []


def place(pids, cpus):
    """As taskset -ap: every thread of every process; one that has just gone is no error."""
    for pid in pids:
        for tid in threads(pid):
            try:
                os.sched_setaffinity(tid, cpus)
            except ProcessLookupError:
                pass


def own_bytes(pid):
    """Resident, but for memory that is shared: that is counted where it belongs."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        fields = dict(line.split(":", 1) for line in status)
    return sum(int(fields[name].split()[0]) << 10 for name in ("RssAnon", "RssFile"))


def memfd_bytes(pid, name):
    fds = f"/proc/{pid}/fd"
    for fd in os.listdir(fds):
        if os.readlink(f"{fds}/{fd}").startswith(f"/memfd:{name}"):
            return os.stat(f"{fds}/{fd}").st_blocks * 512
    raise Unavailable(f"process {pid} has no memfd {name}")


def slab_bytes():
    """What the kernel keeps in small objects, of everybody's: those in use, not their pages,
    which the names of two file systems share."""
    with open("/proc/slabinfo", encoding="ascii") as info:
        rows = [line.split() for line in info if not line.startswith(("#", "slabinfo"))]
    return sum(int(active) * int(size) for _, active, _, size, *_ in rows)


def cpu_ns(pids):
    """CPU time the processes have used so far, all threads."""
    total = 0
    for pid in pids:
        for tid in threads(pid):
            with open(f"/proc/{pid}/task/{tid}/schedstat", encoding="ascii") as stat:
                total += int(stat.read().split()[0])
    return total
