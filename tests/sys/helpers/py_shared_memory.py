"""SharedMemory and ShareableList: the same tests on CPython's own and on ours, which must agree.

What differs, and why, is in DIFFERENCES and in the class Ours at the end.
"""
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
import unittest
from multiprocessing import resource_tracker, shared_memory

import mappingfs

START_METHODS = ("fork", "spawn", "forkserver")


def unique(word):
    return f"{word}-{os.getpid()}"


def fill(block, value):
    block.buf[:] = bytes([value]) * len(block.buf)
    block.close()


def attach_and_fill(cls, name, value):
    fill(cls(name), value)


def append_to(cells, index):
    cells[index] = f"child {index}"
    cells.shm.close()


class Behaviour:
    """Run for each implementation: the attributes say which."""

    def create(self, *args, **kwargs):
        block = self.SharedMemory(*args, create=True, **kwargs)
        self.addCleanup(self.discard, block)
        return block

    @staticmethod
    def discard(block):
        block.close()
        try:
            block.unlink()
        except FileNotFoundError:
            pass

    def run_in(self, method, function, *args):
        process = multiprocessing.get_context(method).Process(target=function, args=args)
        process.start()
        process.join()
        self.assertEqual(process.exitcode, 0)

    def test_a_block_has_the_size_asked_for_and_is_zero(self):
        for size in (1, 511, 4095, 4096, 4097, 1 << 20):
            block = self.create(size=size)
            self.assertEqual((block.size, len(block.buf)), (size, size))
            self.assertEqual(bytes(block.buf), bytes(size))
            other = self.SharedMemory(block.name)
            self.assertEqual((other.size, len(other.buf)), (size, size))
            other.close()

    def test_stores_are_seen_by_who_attaches(self):
        one = self.create(unique("seen"), size=100)
        other = self.SharedMemory(one.name)
        one.buf[:5] = b"hello"
        self.assertEqual(bytes(other.buf[:5]), b"hello")
        other.buf[99] = 7
        self.assertEqual(one.buf[99], 7)
        other.close()
        self.assertEqual(one.buf[99], 7)

    def test_the_size_given_to_attach_is_ignored(self):
        one = self.create(size=100)
        other = self.SharedMemory(one.name, size=100000)
        self.assertEqual(other.size, 100)
        other.close()

    def test_names_made_up_are_unique(self):
        blocks = [self.create(size=1) for _ in range(50)]
        self.assertEqual(len({block.name for block in blocks}), 50)
        self.assertTrue(all(block.name.startswith("psm_") for block in blocks))

    def test_a_name_in_use_is_refused_and_left_alone(self):
        one = self.create(unique("taken"), size=100)
        one.buf[0] = 1
        with self.assertRaises(FileExistsError) as caught:
            self.SharedMemory(one.name, create=True, size=200)
        self.assertEqual(caught.exception.filename, "/" + one.name)
        other = self.SharedMemory(one.name)
        self.assertEqual((other.size, other.buf[0]), (100, 1))
        other.close()

    def test_close_twice_is_fine_and_buf_is_none_then(self):
        block = self.create(size=10)
        block.close()
        self.assertIsNone(block.buf)
        self.assertEqual(block.size, 10)
        block.close()
        with self.assertRaises(TypeError):
            block.buf[0]

    def test_close_with_a_part_of_buf_alive(self):
        block = self.create(size=10)
        part = block.buf[2:4]
        with self.assertRaises(BufferError):
            block.close()
        part[0] = 9  # the view stays until nobody needs it
        other = self.SharedMemory(block.name)
        self.assertEqual(other.buf[2], 9)
        other.close()
        part.release()
        block.close()

    def test_unlink_while_in_use(self):
        one = self.create(unique("gone"), size=10)
        other = self.SharedMemory(one.name)
        one.unlink()
        with self.assertRaises(FileNotFoundError):
            self.SharedMemory(one.name)
        other.buf[3] = 3
        self.assertEqual(one.buf[3], 3)
        new = self.create(one.name, size=20)
        self.assertEqual((new.size, new.buf[3], one.buf[3]), (20, 0, 3))
        other.close()

    def test_unlink_twice(self):
        block = self.create(size=10)
        block.unlink()
        with self.assertRaises(FileNotFoundError) as caught:
            block.unlink()
        self.assertEqual(caught.exception.errno, 2)

    def test_unlink_after_close(self):
        block = self.create(size=10)
        block.close()
        block.unlink()
        with self.assertRaises(FileNotFoundError):
            self.SharedMemory(block.name)

    def test_the_end_of_the_object_closes(self):
        before = len(os.listdir("/proc/self/fd"))
        block = self.SharedMemory(create=True, size=10)
        name = block.name
        del block
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        again = self.SharedMemory(name)  # it is not unlinked by that
        again.unlink()
        again.close()

    def test_a_failed_call_leaves_no_descriptor(self):
        self.create(unique("there"), size=1)
        before = os.listdir("/proc/self/fd")
        for arguments in ({"name": unique("there"), "create": True, "size": 1},
                          {"name": unique("missing")}, {"name": "a/b", "create": True, "size": 1}):
            with self.assertRaises(OSError):
                self.SharedMemory(**arguments)
        self.assertEqual(os.listdir("/proc/self/fd"), before)

    def test_mode_is_the_owners(self):
        old = os.umask(0)
        try:
            block = self.create(unique("mode"), size=1)
        finally:
            os.umask(old)
        self.assertEqual(os.fstat(block._fd).st_mode & 0o7777, 0o600)

    def test_an_existing_or_a_new_one(self):
        class Either(self.SharedMemory):
            _flags = os.O_CREAT | os.O_RDWR
        block = self.create(unique("either"), size=10)
        self.assertEqual(Either(block.name).size, 10)

    def test_pickled_it_is_attached_by_name(self):
        block = self.create(size=10)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            other = pickle.loads(pickle.dumps(block, protocol))
            self.assertIs(type(other), type(block))
            other.buf[0] = protocol
            self.assertEqual(block.buf[0], protocol)
            other.close()
        gone = pickle.dumps(block)
        self.discard(block)
        with self.assertRaises(FileNotFoundError):
            pickle.loads(gone)

    def test_two_processes(self):
        block = self.create(size=4096)
        for value, method in enumerate(START_METHODS, 1):
            with self.subTest(method=method):
                self.run_in(method, fill, block, value)
                self.assertEqual(set(block.buf), {value})
                self.run_in(method, attach_and_fill, self.SharedMemory, block.name, value + 10)
                self.assertEqual(set(block.buf), {value + 10})

    def test_a_list(self):
        values = ["howdy", b"HoWdY", -273.154, 100, None, True, 42, "", "encodés"]
        cells = self.ShareableList(values)
        self.addCleanup(self.discard, cells.shm)
        self.assertIs(type(cells.shm), self.SharedMemory)
        self.assertEqual(list(cells), values)
        self.assertEqual(cells.format, "8s8sdqxxxxxx?xxxxxxxx?q8s8s")
        self.assertEqual((len(cells), cells.index(42), cells.count(100)), (9, 6, 1))
        cells[0] = "12345678"
        with self.assertRaisesRegex(ValueError, "exceeds available storage"):
            cells[0] = "123456789"
        with self.assertRaises(IndexError):
            cells[9]
        with self.assertRaises(IndexError):
            cells[9] = 1
        other = self.ShareableList(name=cells.shm.name)
        other[-3] = 43
        self.assertEqual((cells[6], other[0]), (43, "12345678"))
        other.shm.close()

    def test_a_list_copied_under_a_name(self):
        cells = self.ShareableList(range(5))
        self.addCleanup(self.discard, cells.shm)
        copy = self.ShareableList(cells, name=unique("copy"))
        self.addCleanup(self.discard, copy.shm)
        copy[0] = 99
        self.assertEqual((list(cells), list(copy)), ([0, 1, 2, 3, 4], [99, 1, 2, 3, 4]))
        with self.assertRaises(FileExistsError):
            self.ShareableList(range(5), name=unique("copy"))

    def test_an_empty_list(self):
        cells = self.ShareableList()
        self.addCleanup(self.discard, cells.shm)
        self.assertEqual((len(cells), cells.format, list(cells)), (0, "", []))

    def test_a_list_in_other_processes(self):
        cells = self.ShareableList([" " * 20] * len(START_METHODS))
        self.addCleanup(self.discard, cells.shm)
        for index, method in enumerate(START_METHODS):
            self.run_in(method, append_to, cells, index)
        self.assertEqual(list(cells), [f"child {i}" for i in range(len(START_METHODS))])
        again = pickle.loads(pickle.dumps(cells))
        self.assertIs(type(again), self.ShareableList)
        self.assertEqual(list(again), list(cells))
        again.shm.close()


class Stock(Behaviour, unittest.TestCase):
    SharedMemory = shared_memory.SharedMemory
    ShareableList = shared_memory.ShareableList


CALLS = {
    "no name": lambda new: new(),
    "no name, no creation": lambda new: new(create=False),
    "negative": lambda new: new(create=True, size=-1),
    "negative to attach": lambda new: new("x", size=-1),
    "zero": lambda new: new(create=True, size=0),
    "no size": lambda new: new("x", create=True),
    "size of float": lambda new: new("x", create=True, size=1.5),
    "size of text": lambda new: new("x", create=True, size="1"),
    "size None": lambda new: new("x", create=True, size=None),
    "more than memory": lambda new: new("x", create=True, size=1 << 62),
    "more than a file": lambda new: new("x", create=True, size=1 << 63),
    "empty name": lambda new: new("", create=True, size=1),
    "empty name to attach": lambda new: new(""),
    "slash": lambda new: new("a/b", create=True, size=1),
    "slash to attach": lambda new: new("a/b"),
    "slash in front": lambda new: new("/x", create=True, size=1),
    "dot": lambda new: new(".", create=True, size=1),
    "dots": lambda new: new("..", create=True, size=1),
    "dot to attach": lambda new: new("."),
    "dots to attach": lambda new: new(".."),
    "NUL": lambda new: new("a\0b", create=True, size=1),
    "longest name": lambda new: new("x" * 255, create=True, size=1),
    "name too long": lambda new: new("x" * 256, create=True, size=1),
    "name too long to attach": lambda new: new("x" * 256),
    "name of int": lambda new: new(5, create=True, size=1),
    "name of bytes": lambda new: new(b"x", create=True, size=1),
    "blanks": lambda new: new(" x ", create=True, size=1),
    "not ASCII": lambda new: new("zäh", create=True, size=1),
    "not UTF-8": lambda new: new("x\udc80", create=True, size=1),
    "not there": lambda new: new("not-there"),
    "too many arguments": lambda new: new("x", True, 5, 6),
}

# What ours says where it does not say the same.
DIFFERENCES = {
    # The room is taken at creation: the limit says no, not the address space.
    "more than memory": (OSError, (28, "No space left on device")),
    # There the name is cut short at the NUL.
    "NUL": (ValueError, ("embedded null byte",)),
    # There the resource tracker knows ASCII only, and the block is lost to it.
    "not ASCII": "SharedMemory('zäh', size=1)",
    # Names are bytes; Python writes those that are not UTF-8 as surrogates.
    "not UTF-8": "SharedMemory('x\\udc80', size=1)",
}


def outcome(cls, call):
    try:
        block = call(cls)
    except Exception as error:
        # The text before Python 3.10 lacks the class.
        return type(error), error.args
    result = repr(block)
    block.close()
    block.unlink()
    return result


class SameAnswers(unittest.TestCase):
    def setUp(self):
        # Names that a failed creation leaves behind there: a later call would find them.
        self.addCleanup(self.forget)
        self.forget()

    @staticmethod
    def forget():
        for name in ("x", "zäh"):
            try:
                os.unlink("/dev/shm/" + name)
            except FileNotFoundError:
                pass

    def test_each_call_ends_in_the_same_way(self):
        for what, call in CALLS.items():
            with self.subTest(what):
                self.forget()
                theirs = outcome(shared_memory.SharedMemory, call)
                ours = outcome(mappingfs.SharedMemory, call)
                if what in DIFFERENCES:
                    self.assertEqual(ours, DIFFERENCES[what])
                    self.assertNotEqual(ours, theirs)
                else:
                    self.assertEqual(ours, theirs)

    def test_the_same_layout_of_lists(self):
        values = [1, "two", b"three", 4.5, None, False]
        theirs, ours = shared_memory.ShareableList(values), mappingfs.ShareableList(values)
        self.assertEqual(bytes(theirs.shm.buf), bytes(ours.shm.buf))
        for cells in (theirs, ours):
            cells.shm.close()
            cells.shm.unlink()


TEMPORARY_HOLDER = """
import sys
from mappingfs import SharedMemory
block = SharedMemory({name!r}, create={create}, size=100, lifetime="temporary")
print("ready", flush=True)
sys.stdin.read()
"""


class Ours(Behaviour, unittest.TestCase):
    SharedMemory = mappingfs.SharedMemory
    ShareableList = mappingfs.ShareableList

    def test_no_tracker_is_started(self):
        code = ("from mappingfs import SharedMemory\n"
                "from multiprocessing import resource_tracker\n"
                "block = SharedMemory(create=True, size=1, track=True)\n"
                "assert resource_tracker._resource_tracker._fd is None\n"
                "print(block.name)\n")
        name = subprocess.check_output([sys.executable, "-c", code], text=True).strip()
        self.discard(self.SharedMemory(name))  # permanent: it is still there

    def test_temporary_ends_with_its_last_user(self):
        name = unique("temporary")
        holders = [self.hold(name, True), self.hold(name, False)]
        path = os.path.join(mappingfs.Directory().path, name)
        for holder in holders:
            self.assertTrue(os.path.exists(path))
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            holder.stdout.close()
            holder.stdin.close()
        end = time.monotonic() + 10  # it goes a moment after
        while os.path.exists(path) and time.monotonic() < end:
            time.sleep(0.001)
        self.assertFalse(os.path.exists(path))

    @staticmethod
    def hold(name, create):
        holder = subprocess.Popen(
            [sys.executable, "-c", TEMPORARY_HOLDER.format(name=name, create=create)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert holder.stdout.readline() == "ready\n"
        return holder

    def test_a_directory_of_its_own(self):
        here = mappingfs.Directory()
        os.mkdir(os.path.join(here.path, "room"))
        room = mappingfs.Directory(os.path.join(here.path, "room"))
        block = self.SharedMemory("same", create=True, size=10, directory=room)
        outer = self.create("same", size=20)
        again = pickle.loads(pickle.dumps(block))
        self.assertEqual((again.size, outer.size), (10, 20))
        again.close()
        self.discard(block)
        os.rmdir(room.path)

    def test_attaching_never_finds_it_empty(self):
        name, stop = unique("race"), multiprocessing.Event()
        process = multiprocessing.get_context("fork").Process(
            target=self.attach_all_the_time, args=(name, stop))
        process.start()
        for _ in range(300):
            block = self.SharedMemory(name, create=True, size=1000)
            block.unlink()
            block.close()
        stop.set()
        process.join()
        self.assertEqual(process.exitcode, 0)

    def attach_all_the_time(self, name, stop):
        seen = 0
        while not stop.is_set():
            try:
                block = self.SharedMemory(name)
            except FileNotFoundError:
                continue
            seen += 1
            if block.size != 1000:
                os._exit(1)
            block.close()

    def test_what_is_no_mapping(self):
        path = mappingfs.Directory().path
        os.mkdir(os.path.join(path, "folder"))
        with self.assertRaises(OSError) as caught:
            self.SharedMemory("folder")
        self.assertEqual(caught.exception.errno, 22)
        os.rmdir(os.path.join(path, "folder"))

    def test_the_limit_is_felt_at_creation(self):
        status = os.statvfs(mappingfs.Directory().path)
        with self.assertRaises(OSError) as caught:
            self.SharedMemory("large", create=True, size=status.f_blocks * status.f_bsize + 1)
        self.assertEqual(caught.exception.errno, 28)
        self.assertFalse(os.path.exists(os.path.join(mappingfs.Directory().path, "large")))


if __name__ == "__main__":
    resource_tracker.ensure_running()  # it is the stock tests', and its descriptor is no leak
    unittest.main()
