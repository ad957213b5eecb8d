"""mappingfs.py: mounts and directories, creation, opening, mappings, errors, no leaks."""
import errno
import mmap
import os
import pickle
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from unittest import mock

import mappingfs
from mappingfs import Directory, Event, Mapping, Mutex, NameInUse, NotFound, WrongType

ROOT = Directory().path


def descriptors():
    return sorted(os.listdir("/proc/self/fd"))


def remove(name):
    try:
        os.unlink(os.path.join(ROOT, name))
    except FileNotFoundError:
        pass


class TestCase(unittest.TestCase):
    """Each test leaves the mount and the descriptors as they were."""

    def setUp(self):
        self.before = descriptors(), os.listdir(ROOT)

    def tearDown(self):
        self.doCleanups()
        self.assertEqual((descriptors(), os.listdir(ROOT)), self.before)

    def keep(self, made):
        self.addCleanup(made.close)
        if made.name is not None:
            self.addCleanup(remove, os.path.basename(made.name))
        return made


class Directories(TestCase):
    def test_default_is_the_environments(self):
        self.assertEqual(Directory().path, os.environ["MAPPINGFS_MOUNT"])

    def test_without_it_the_mount_is_found(self):
        # There may be others', as of tests beside us: then it says which.
        with mock.patch.dict(os.environ):
            del os.environ["MAPPINGFS_MOUNT"]
            try:
                self.assertEqual(Directory().path, ROOT)
            except mappingfs.NoMount as error:
                self.assertEqual(error.errno, errno.ENOTUNIQ)
                self.assertIn(ROOT, error.strerror)

    def test_only_ones_with_our_type_count(self):
        line = mappingfs._MountLine(os.stat(ROOT).st_dev, "/", ROOT)
        bound = line._replace(root="/sub", point="/")
        hidden = line._replace(point="/proc")
        with mock.patch.dict(os.environ), mock.patch("mappingfs._mount_lines") as lines:
            del os.environ["MAPPINGFS_MOUNT"]
            lines.return_value = [hidden, line, bound]
            self.assertEqual(Directory().path, ROOT)
            lines.return_value = [hidden]
            with self.assertRaises(mappingfs.NoMount) as caught:
                Directory()
            self.assertEqual(caught.exception.errno, errno.ENODEV)

    def test_paths_with_blanks_in_mountinfo(self):
        self.assertEqual(mappingfs._unescape(rb"/a\040b\134c\011"), "/a b\\c\t")

    def test_not_in_a_mount(self):
        for path in ("/", "/dev/shm"):
            with self.assertRaises(mappingfs.NoMount):
                Directory(path)
        with self.assertRaises(NotFound):
            Directory("/not/there")

    def test_default_follows_the_environment(self):
        os.mkdir(os.path.join(ROOT, "sub"))
        self.addCleanup(os.rmdir, os.path.join(ROOT, "sub"))
        first = Event.create("same")
        self.addCleanup(remove, "same")
        with mock.patch.dict(os.environ, MAPPINGFS_MOUNT=os.path.join(ROOT, "sub")):
            second = Event.create("same")
            second.unlink()
            second.close()
        self.assertTrue(os.path.exists(os.path.join(ROOT, "same")))
        first.close()

    def test_status_and_who(self):
        status = Directory().status()
        self.assertIn(status["mode"], ("passthrough", "cached"))
        with self.keep(Mapping.create("who", 4096)) as made:
            made.view[0] = 1
            self.assertIn(str(os.getpid()), str(made.who()))


class Names(TestCase):
    def test_relative_to_the_directory(self):
        os.mkdir(os.path.join(ROOT, "sub"))
        self.addCleanup(os.rmdir, os.path.join(ROOT, "sub"))
        made = Event.create("sub/name")
        self.assertTrue(os.path.exists(os.path.join(ROOT, "sub", "name")))
        again = Event.open("name", directory=os.path.join(ROOT, "sub"))
        path = Event.open(os.path.join(ROOT, "sub", "name"))
        made.set()
        self.assertTrue(again.wait(0))
        self.assertFalse(path.wait(0))
        for one in (made, again, path):
            one.close()
        made.unlink()

    def test_paths_into_no_mount(self):
        with self.assertRaises(mappingfs.NoMount):
            Event.create("/dev/shm/name")
        with self.assertRaises(mappingfs.Error) as caught:
            Event.create("/dev/shm/name", directory=Directory())
        self.assertEqual(caught.exception.errno, errno.EXDEV)

    def test_no_name_in_them(self):
        for name in ("", ".", "..", "sub/", "x/.."):
            with self.assertRaises(OSError):
                Event.create(name)

    def test_too_long(self):
        with self.assertRaises(mappingfs.Error) as caught:
            Mapping.create("x" * 256, 10)
        self.assertEqual(caught.exception.errno, errno.ENAMETOOLONG)

    def test_bytes_that_are_no_text(self):
        made = self.keep(Event.create("name-\udcff \n"))
        self.assertIn(b"name-\xff \n", os.listdir(os.fsencode(ROOT)))
        self.assertFalse(made.is_set())

    def test_missing(self):
        with self.assertRaises(NotFound) as caught:
            Mapping.open("missing")
        self.assertEqual((caught.exception.errno, caught.exception.filename),
                         (errno.ENOENT, "missing"))
        self.assertIsInstance(caught.exception, FileNotFoundError)


class Creation(TestCase):
    def test_all_attributes(self):
        made = self.keep(Mapping.create("all", 10000, sparse=True, lifetime="temporary",
                                        mode=0o640, gid=12))
        status = os.fstat(made.fileno())
        self.assertEqual((status.st_size, stat.S_IMODE(status.st_mode), status.st_gid),
                         (10000, 0o640, 12))
        self.assertEqual(made.lifetime, "temporary")
        self.assertEqual(made.attribute("backing"), "sparse")
        self.assertEqual(made.attribute("type"), "mapping")
        self.assertTrue(made.created)

    def test_lifetimes(self):
        for lifetime in ("permanent", "temporary", "handle"):
            made = self.keep(Mapping.create("lifetime", 10, lifetime=lifetime))
            self.assertEqual(made.lifetime, lifetime)
            made.close()
            end = time.monotonic() + 10
            while lifetime != "permanent" and os.path.exists(os.path.join(ROOT, "lifetime")):
                self.assertLess(time.monotonic(), end)
                time.sleep(0.001)
            remove("lifetime")

    def test_umask_applies_without_mode(self):
        old = os.umask(0o027)
        try:
            made = self.keep(Event.create("umask"))
        finally:
            os.umask(old)
        self.assertEqual(stat.S_IMODE(os.fstat(made.fileno()).st_mode), 0o640)

    def test_wrong_parameters_before_anything_else(self):
        for call in (lambda: Mapping.create("x"), lambda: Mapping.create("x", 0),
                     lambda: Mapping.create("x", -1), lambda: Mapping.create("x", 1 << 63),
                     lambda: Mapping.create("x", 1, lifetime="long"),
                     lambda: Mapping.create("x", 1, mode=0o10000),
                     lambda: mappingfs.Semaphore.create("x", 2, 1),
                     lambda: mappingfs.Semaphore.create("x", -1, 1),
                     lambda: mappingfs.Semaphore.create("x", 0, 0),
                     lambda: mappingfs.Semaphore.create("x", 0, 1 << 31)):
            with self.assertRaises(ValueError):
                call()

    def test_refused_creation_leaves_nothing(self):
        with self.assertRaises(mappingfs.Error) as caught:
            Mapping.create("x", 1 << 50)
        self.assertEqual(caught.exception.errno, errno.ENOSPC)
        with self.assertRaises(mappingfs.Error):
            Mapping.create("x", 1, read_only=True)  # of what file?

    def test_name_in_use(self):
        self.keep(Event.create("taken"))
        for call in (lambda: Event.create("taken"), lambda: Mapping.create("taken", 1),
                     lambda: Mapping.create("taken", 1, exist_ok=True)):
            with self.assertRaisesRegex(NameInUse, "it is an event") as caught:
                call()
            self.assertIsInstance(caught.exception, FileExistsError)
            self.assertEqual(caught.exception.filename, "taken")

    def test_name_of_a_directory_or_something_else(self):
        os.mkdir(os.path.join(ROOT, "folder"))
        self.addCleanup(os.rmdir, os.path.join(ROOT, "folder"))
        with self.assertRaisesRegex(NameInUse, "a directory"):
            Event.create("folder", exist_ok=True)
        with self.assertRaisesRegex(WrongType, "a directory"):
            Event.open("folder")
        os.mkfifo(os.path.join(ROOT, "pipe"))
        self.addCleanup(remove, "pipe")
        with self.assertRaisesRegex(WrongType, "a special file"):
            Mapping.open("pipe")

    def test_exist_ok(self):
        first = self.keep(Mapping.create("there", 100))
        first.view[0] = 9
        again = self.keep(Mapping.create("there", 5000, exist_ok=True))
        self.assertEqual((first.created, again.created, again.size, again.view[0]),
                         (True, False, 100, 9))

    def test_without_name(self):
        made = self.keep(Mapping.create(None, 100))
        made.view[:5] = b"hello"
        with self.keep(made.reopen("r")) as again:
            self.assertEqual(again.view[:5], b"hello")
            self.assertEqual(os.fstat(again.fileno()).st_nlink, 0)
        with self.assertRaises(TypeError):
            pickle.dumps(made)
        with self.assertRaises(ValueError):
            made.unlink()

    def test_where_the_kernel_has_no_tmpfile(self):
        real = os.open

        def old_kernel(path, flags, *rest, **options):
            if flags & os.O_TMPFILE == os.O_TMPFILE:
                raise OSError(errno.EOPNOTSUPP, "Operation not supported")
            return real(path, flags, *rest, **options)

        with mock.patch("os.open", old_kernel):
            made = self.keep(Mapping.create("old", 100, mode=0o600))
            with self.assertRaises(NameInUse):
                Mapping.create("old", 100)
            with self.assertRaises(mappingfs.Error):
                Mapping.create("older", 1 << 50)
            none = self.keep(Mapping.create(None, 10))
            block = mappingfs.SharedMemory("block", create=True, size=10)
        self.assertEqual((made.size, none.size, block.size), (100, 10, 10))
        block.close()
        block.unlink()

    def test_nobody_sees_half_of_it(self):
        code = ("import mappingfs, os, sys\n"
                "real = mappingfs._ask\n"
                "def killed(*args, **kwargs):\n"
                "    real(*args, **kwargs)\n"
                "    print('configured', flush=True)\n"
                "    sys.stdin.read()\n"
                "mappingfs._ask = killed\n"
                "mappingfs.Mapping.create('half', 100)\n")
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as creator:
            self.assertEqual(creator.stdout.readline(), b"configured\n")
            self.assertEqual(os.listdir(ROOT), self.before[1])
            creator.send_signal(signal.SIGKILL)

    def test_many_at_once_one_wins(self):
        won = []
        barrier = threading.Barrier(8)

        def create():
            barrier.wait()
            try:
                won.append(Mutex.create("race", owned=True))
            except NameInUse:
                pass

        threads = [threading.Thread(target=create) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(won), 1)
        self.keep(won[0]).release()


class Mappings(TestCase):
    def test_view_size_and_with(self):
        with self.keep(Mapping.create("view", 10000)) as made:
            self.assertEqual((made.size, len(made.view)), (10000, 10000))
            made.view[9999] = 1
            with Mapping.open("view", writable=False) as reader:
                self.assertEqual(reader.view[9999], 1)
                with self.assertRaises(TypeError):
                    reader.view[0] = 1
        self.assertTrue(made.closed)
        with self.assertRaises(ValueError):
            made.fileno()
        made.close()

    def test_parts_and_copies(self):
        with self.keep(Mapping.create("parts", 3 * mmap.PAGESIZE)) as made:
            part = made.map(mmap.PAGESIZE, 100)
            copy = made.map(mmap.PAGESIZE, copy=True)
            part[0] = 5
            self.assertEqual((made.view[mmap.PAGESIZE], copy[0], len(copy)),
                             (5, 5, 2 * mmap.PAGESIZE))
            copy[0] = 6
            self.assertEqual((part[0], copy[0]), (5, 6))
            with self.assertRaises((OSError, ValueError)):
                made.map(1, 10)
            part.close()
            copy.close()

    def test_resize(self):
        with self.keep(Mapping.create("resize", 100)) as made:
            made.resize(20000)
            self.assertEqual((made.size, len(made.view)), (20000, 20000))
            with self.assertRaisesRegex(mappingfs.Error, "a view, ours or another's") as caught:
                made.resize(100)
            self.assertEqual(caught.exception.errno, errno.EBUSY)
            with self.assertRaises(mappingfs.Error) as caught:
                made.resize(1 << 50)
            self.assertEqual((caught.exception.errno, made.size), (errno.ENOSPC, 20000))

    def test_of_a_file(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"content")
            file.flush()
            with self.keep(Mapping.create("bound", file=file)) as made:
                self.assertEqual(made.size, 7)
                self.assertTrue(made.attribute("backing").startswith("file"))
                made.view[0:1] = b"C"
                made.flush()
            with open(file.name, "rb") as again:
                self.assertEqual(again.read(), b"Content")
            remove("bound")
            with open(file.name, "rb") as source, \
                    self.keep(Mapping.create("bound", 3, file=source.fileno())) as made:
                self.assertEqual(made.view[:], b"Con")
                with self.assertRaises(TypeError):
                    made.view[0] = 1
            with self.assertRaises(PermissionError):
                Mapping.open("bound")

    def test_close_with_a_memoryview_alive(self):
        made = self.keep(Mapping.create("alive", 10))
        part = memoryview(made.view)[2:3]
        with self.assertRaises(BufferError):
            made.close()
        part.release()
        made.close()

    def test_pickled_by_name(self):
        made = self.keep(Mapping.create("pickled", 10))
        again = self.keep(pickle.loads(pickle.dumps(made)))
        again.view[0] = 1
        self.assertEqual(made.view[0], 1)
        with Mapping.open("pickled", writable=False) as reader:
            with self.keep(pickle.loads(pickle.dumps(reader))) as other:
                with self.assertRaises(TypeError):
                    other.view[0] = 2


class Control(TestCase):
    def test_no_socket(self):
        with mock.patch("mappingfs._mount_lines", return_value=[]):
            directory = mappingfs._directory(None)
            with self.assertRaisesRegex(mappingfs.NoMount, "control socket is not visible"):
                Event.create("x", directory=directory)
            # The shape of multiprocessing does without.
            block = mappingfs.SharedMemory("x", create=True, size=10, directory=directory)
            block.close()
            block.unlink()

    def test_a_socket_that_is_no_more(self):
        with mock.patch("mappingfs._socket_of", return_value="/not/there"):
            with self.assertRaises(NotFound) as caught:
                Event.create("x")
            self.assertEqual(caught.exception.filename, "/not/there")

    def test_other_versions_are_refused(self):
        for version in (1, 3):
            with mock.patch("mappingfs._VERSION", version):
                with self.assertRaises(mappingfs.Error) as caught:
                    Directory().status()
                self.assertIn(caught.exception.errno, (errno.EPROTO, errno.EPROTONOSUPPORT))


if __name__ == "__main__":
    unittest.main()
