"""mappingfs.py: objects to wait on."""
import asyncio
import contextlib
import datetime
import errno
import fcntl
import math
import multiprocessing
import os
import pickle
import select
import selectors
import signal
import struct
import subprocess
import sys
import threading
import time
import unittest
from multiprocessing import resource_tracker

import mappingfs
from mappingfs import (Event, Job, Mapping, Mutex, Overflow, Refused, Semaphore, Timer, wait_all,
                       wait_any)
from py_objects import TestCase

fork = multiprocessing.get_context("fork")


def is_blocked(task):
    """In a request to the file system that is not answered."""
    try:
        with open(f"/proc/{task}/wchan") as file:
            return "request_wait" in file.read()
    except FileNotFoundError:
        return False


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("not within 20 s")
        time.sleep(0.0005)


class Waiter(threading.Thread):
    """A call in a thread, and what came of it."""

    def __init__(self, call):
        super().__init__(daemon=True)
        self.call, self.result = call, None
        self.start()
        until(lambda: is_blocked(f"self/task/{self.native_id}") or not self.is_alive())

    def run(self):
        try:
            self.result = self.call()
        except OSError as error:
            self.result = error

    def get(self):
        self.join(20)
        if self.is_alive():
            raise AssertionError("still waiting")
        return self.result


class Events(TestCase):
    def test_auto_releases_one(self):
        event = self.keep(Event.create("auto"))
        waiters = [Waiter(event.wait) for _ in range(3)]
        for left in (2, 1, 0):
            event.set()
            until(lambda: sum(w.is_alive() for w in waiters) == left)
        self.assertFalse(event.wait(0))
        event.set()
        event.set()
        self.assertTrue(event.is_set())
        self.assertTrue(event.wait(0))
        self.assertFalse(event.wait(0))

    def test_manual_releases_all_and_stays(self):
        event = self.keep(Event.create("manual", manual=True))
        waiters = [Waiter(event.wait), Waiter(lambda: event.wait(20)),
                   Waiter(lambda: wait_any([event]))]
        event.set()
        self.assertEqual([w.get() for w in waiters], [True, True, event])
        self.assertTrue(event.wait(0) and event.wait() and event.is_set())
        event.clear()
        self.assertFalse(event.wait(0) or event.is_set())

    def test_signaled_from_the_start(self):
        self.assertTrue(self.keep(Event.create(signaled=True)).wait(0))
        self.assertIn("signaled", self.keep(Event.create(signaled=True)).state)

    def test_pulse(self):
        event = self.keep(Event.create("pulse", manual=True))
        waiters = [Waiter(event.wait) for _ in range(3)]
        event.pulse()
        self.assertEqual([w.get() for w in waiters], [True] * 3)
        event.pulse()
        self.assertFalse(event.wait(0))

    def test_served_in_order(self):
        event, order = self.keep(Event.create("order")), []
        event.wait(0)  # so that a request seen to be blocked is a wait, not one for the handle
        waiters = [Waiter(lambda i=i: event.wait(None if i % 2 else 20) and order.append(i))
                   for i in range(6)]
        for i in range(6):
            event.set()
            waiters[i].get()
        self.assertEqual(order, list(range(6)))

    def test_rights_of_the_handle(self):
        self.keep(Event.create("rights"))
        reader = self.keep(Event.open("rights", access="r"))
        writer = self.keep(Event.open("rights", access="w"))
        with self.assertRaisesRegex(Refused, "without writing"):
            reader.set()
        writer.set()
        with self.assertRaisesRegex(Refused, "without reading"):
            writer.wait()
        with self.assertRaises(OSError):
            writer.wait(0)
        self.assertTrue(reader.wait(0))

    def test_two_processes(self):
        event = self.keep(Event.create("processes"))
        code = ("import mappingfs, sys\n"
                "e = mappingfs.Event.open('processes')\n"
                "print('ready', flush=True)\n"
                "print(e.wait(), flush=True)\n")
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as waiter:
            self.assertEqual(waiter.stdout.readline(), b"ready\n")
            event.set()
            self.assertEqual(waiter.stdout.readline(), b"True\n")

    def test_pickled_to_a_spawned_process(self):
        event = self.keep(Event.create("spawned"))
        done = self.keep(Event.create("done"))
        process = multiprocessing.get_context("spawn").Process(target=answer, args=(event, done))
        process.start()
        event.set()
        self.assertTrue(done.wait(20))
        process.join()
        process.close()
        again = self.keep(pickle.loads(pickle.dumps(self.keep(Event.open("done", access="r")))))
        with self.assertRaises(Refused):
            again.set()


def answer(event, done):
    if event.wait(20):
        done.set()


class TimeOuts(TestCase):
    def test_they_take_as_long_as_they_should(self):
        event = self.keep(Event.create("long"))
        for wait in (event.wait, lambda t: wait_all([event], t),
                     lambda t: bool(wait_any([event], t))):
            begin = time.monotonic()
            self.assertFalse(wait(0.15))
            self.assertTrue(0.15 <= time.monotonic() - begin < 5)

    def test_none_left(self):
        event = self.keep(Event.create("none"))
        for timeout in (0, -1, -math.inf, 1e-9):
            self.assertFalse(event.wait(timeout))
        with self.assertRaises(ValueError):
            event.wait(math.nan)

    def test_for_ever(self):
        event = self.keep(Event.create("ever"))
        waiters = [Waiter(lambda t=t: event.wait(t)) for t in (None, math.inf, 1e9, 1e30)]
        for _ in waiters:
            event.set()
            until(lambda: not event.is_set())
        self.assertEqual([w.get() for w in waiters], [True] * 4)

    def test_on_a_descriptor_that_does_not_block(self):
        event = self.keep(Event.create("nonblock"))
        os.set_blocking(event.fileno(), False)
        with self.assertRaises(BlockingIOError):
            os.pread(event.fileno(), 64, 0)
        waiter = Waiter(event.wait)
        self.assertTrue(waiter.is_alive())
        event.set()
        self.assertTrue(waiter.get())

    def test_other_threads_run_on(self):
        events = [self.keep(Event.create()) for _ in range(64)]
        for call in (lambda: events[0].wait(0.2), lambda: wait_any(events, 0.2),
                     lambda: wait_any(events[:62], 0.2), events[0].wait):
            waiter = threading.Thread(target=call)
            waiter.start()
            begin, longest = time.monotonic(), 0.0
            while waiter.is_alive() and time.monotonic() < begin + 0.3:
                last = time.monotonic()
                time.sleep(0.001)
                longest = max(longest, time.monotonic() - last)
            self.assertLess(longest, 0.15)
            events[0].set()
            waiter.join()
            events[0].reset()


class Signals(TestCase):
    """Each way to wait, interrupted while it blocks."""

    def setUp(self):
        super().setUp()
        self.semaphore = self.keep(Semaphore.create("interrupted", 0, 5))
        self.ways = (self.semaphore.wait, lambda: self.semaphore.wait(20),
                     lambda: wait_any([self.semaphore]), lambda: wait_all([self.semaphore], 20))
        self.addCleanup(signal.signal, signal.SIGALRM, signal.getsignal(signal.SIGALRM))

    def when_blocked(self, *actions):
        """Carries them out in another process while this thread is blocked in a request."""
        task = f"{os.getpid()}/task/{threading.get_native_id()}"

        def act():
            for action in actions:
                until(lambda: is_blocked(task))
                action()
            os._exit(0)

        actor = fork.Process(target=act)
        actor.start()
        return actor

    def test_keyboard_interrupt_and_nothing_taken(self):
        parent = os.getpid()
        for way in self.ways:
            actor = self.when_blocked(lambda: os.kill(parent, signal.SIGINT))
            with self.assertRaises(KeyboardInterrupt):
                way()
            actor.join()
            self.semaphore.release()
            self.assertTrue(self.semaphore.wait(0))
            self.assertFalse(self.semaphore.wait(0))

    def test_handlers_run_and_the_wait_goes_on(self):
        parent, seen = os.getpid(), []
        signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
        for count, way in enumerate(self.ways, 1):
            actor = self.when_blocked(lambda: os.kill(parent, signal.SIGALRM),
                                      self.semaphore.release)
            self.assertTrue(way())
            actor.join()
            self.assertEqual(len(seen), count)
            self.assertFalse(self.semaphore.wait(0))

    def test_time_outs_do_not_stretch(self):
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        self.addCleanup(signal.setitimer, signal.ITIMER_REAL, 0)
        begin = time.monotonic()
        self.assertFalse(self.semaphore.wait(0.3))
        self.assertTrue(0.3 <= time.monotonic() - begin < 3)

    def test_killed_waiters_take_nothing(self):
        for way in self.ways:
            waiter = fork.Process(target=way)
            waiter.start()
            until(lambda: is_blocked(waiter.pid))
            waiter.kill()
            waiter.join()
        self.semaphore.release()
        self.assertTrue(self.semaphore.wait(5))


class Semaphores(TestCase):
    def test_counts(self):
        semaphore = self.keep(Semaphore.create("count", 2, 3))
        self.assertTrue(semaphore.acquire() and semaphore.acquire(timeout=1))
        self.assertFalse(semaphore.acquire(False) or semaphore.acquire(blocking=False))
        semaphore.release(3)
        with self.assertRaises(Overflow) as caught:
            semaphore.release()
        self.assertIsInstance(caught.exception, ValueError)
        self.assertEqual(caught.exception.errno, errno.EOVERFLOW)
        self.assertTrue(all(semaphore.wait(0) for _ in range(3)))
        self.assertFalse(semaphore.wait(0))
        with self.assertRaises(ValueError):
            semaphore.release(0)
        with self.assertRaises(ValueError):
            semaphore.acquire(False, 1)

    def test_with(self):
        semaphore = self.keep(Semaphore.create("with", 1))
        with semaphore as same:
            self.assertIs(same, semaphore)
            self.assertFalse(semaphore.wait(0))
        self.assertTrue(semaphore.wait(0))
        self.assertFalse(semaphore.closed)

    def test_many_processes(self):
        semaphore = self.keep(Semaphore.create("many", 2))
        with self.keep(Mapping.create("inside", 8)) as inside:
            guard = self.keep(Mutex.create("guard"))
            workers = [fork.Process(target=self.enter, args=("many", "inside", "guard"))
                       for _ in range(5)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            self.assertEqual([w.exitcode for w in workers], [0] * 5)
            self.assertEqual(inside.view[1], 2)  # never more
            self.assertTrue(guard.acquire(False))
            guard.release()
        self.assertTrue(semaphore.wait(0) and semaphore.wait(0) and not semaphore.wait(0))

    @staticmethod
    def enter(many, inside, guard):
        semaphore, memory, lock = Semaphore.open(many), Mapping.open(inside), Mutex.open(guard)

        def count(step):
            with lock:
                memory.view[0] += step
                memory.view[1] = max(memory.view[:2])

        for _ in range(20):
            with semaphore:
                count(1)
                time.sleep(0.001)
                count(-1)


class Mutexes(TestCase):
    def test_recursive_for_one_handle(self):
        one = self.keep(Mutex.create("recursive"))
        other = self.keep(one.reopen())
        with one, one:
            self.assertFalse(other.acquire(False))
        self.assertTrue(other.acquire(False))
        with self.assertRaisesRegex(Refused, "does not own it") as caught:
            one.release()
        self.assertIsInstance(caught.exception, PermissionError)
        other.release()

    def test_owned_from_the_start(self):
        one = self.keep(Mutex.create("owned", owned=True))
        other = self.keep(Mutex.create("owned", owned=True, exist_ok=True))
        self.assertFalse(other.acquire(False))
        one.release()
        self.assertTrue(other.acquire(False))

    def test_abandoned_by_close_once(self):
        one, other = self.keep(Mutex.create("left")), self.keep(Mutex.open("left"))
        for how in (lambda: other.acquire(), lambda: other.acquire(timeout=5),
                    lambda: wait_any([other]), lambda: wait_all([other])):
            one.acquire()
            self.assertFalse(one.abandoned)
            one.close()
            self.assertTrue(how())
            self.assertTrue(other.abandoned)
            other.release()
            with other:
                self.assertFalse(other.abandoned)
            one = self.keep(other.reopen())

    def test_abandoned_by_a_killed_owner(self):
        lock = self.keep(Mutex.create("killed"))
        code = ("import mappingfs, sys\n"
                "lock = mappingfs.Mutex.open('killed')\n"
                "with lock:\n"
                "    print('owned', flush=True)\n"
                "    sys.stdin.read()\n")
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as owner:
            self.assertEqual(owner.stdout.readline(), b"owned\n")
            self.assertFalse(lock.acquire(timeout=0.01))
            waiter = Waiter(lock.acquire)
            owner.kill()
            self.assertTrue(waiter.get())
        self.assertTrue(lock.abandoned)
        lock.release()

    def test_threads_exclude_each_other_by_handles_of_their_own(self):
        lock, total = self.keep(Mutex.create("threads")), [0]

        def add():
            with contextlib.closing(lock.reopen()) as own:
                for _ in range(50):
                    with own:
                        value = total[0]
                        time.sleep(0)
                        total[0] = value + 1

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(total, [200])


class Timers(TestCase):
    def test_once(self):
        timer = self.keep(Timer.create("once"))
        begin = time.monotonic()
        timer.set(0.1)
        self.assertFalse(timer.is_set())
        self.assertTrue(timer.wait(10))
        self.assertGreaterEqual(time.monotonic() - begin, 0.1)
        self.assertFalse(timer.wait(0.05))

    def test_again_and_again(self):
        timer = self.keep(Timer.create("period"))
        begin = time.monotonic()
        timer.set(datetime.timedelta(milliseconds=10), 0.05)
        for _ in range(4):
            self.assertTrue(timer.wait(10))
        self.assertGreaterEqual(time.monotonic() - begin, 0.16)
        timer.cancel()
        timer.wait(0)
        self.assertFalse(timer.wait(0.15))

    def test_a_moment_of_the_clock(self):
        timer = self.keep(Timer.create("clock", manual=True))
        begin = time.monotonic()
        timer.set(datetime.datetime.now() + datetime.timedelta(seconds=0.1))
        self.assertTrue(timer.wait(10))
        self.assertGreater(time.monotonic() - begin, 0.05)
        self.assertTrue(timer.wait(0))  # manual: it stays
        timer.set(datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1))
        self.assertFalse(timer.wait(0))
        timer.set(datetime.datetime.now() - datetime.timedelta(hours=1))
        self.assertTrue(timer.wait(10))

    def test_junk(self):
        timer = self.keep(Timer.create("junk"))
        for due in (-1, math.inf, math.nan):
            with self.assertRaises(ValueError):
                timer.set(due)
        with self.assertRaises(ValueError):
            timer.set(1, -1)
        self.assertFalse(timer.wait(0))


class Jobs(TestCase):
    def start(self):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"],
                                 stdin=subprocess.PIPE)
        self.addCleanup(child.communicate)
        return child

    def test_signaled_when_the_last_one_ends(self):
        job = self.keep(Job.create("job"))
        self.assertFalse(job.wait(0))
        children = [self.start(), self.start()]
        job.add(children[0])
        job.add(children[1].pid)
        waiter = Waiter(job.wait)
        children[0].communicate()
        self.assertFalse(job.is_set())
        children[1].communicate()
        self.assertTrue(waiter.get() and job.wait(0))

    def test_kill(self):
        job, child = self.keep(Job.create("kill")), self.start()
        job.add(child)
        job.kill(signal.SIGTERM)
        self.assertTrue(job.wait(20))
        self.assertEqual(child.wait(), -signal.SIGTERM)

    def test_kill_on_close(self):
        job, child = Job.create("close", kill_on_close=True, lifetime="temporary"), self.start()
        job.add(child)
        job.close()
        self.assertEqual(child.wait(), -signal.SIGKILL)
        until(lambda: not os.path.exists(os.path.join(mappingfs.Directory().path, "close")))

    def test_no_such_process(self):
        child = self.start()
        child.communicate()
        with self.assertRaisesRegex(mappingfs.Error, "no such process"):
            self.keep(Job.create("none")).add(child)


class Many(TestCase):
    def test_any_the_first_in_order_and_no_more(self):
        events = [self.keep(Event.create(f"any{i}")) for i in range(5)]
        for i in (3, 1):
            events[i].set()
        self.assertIs(wait_any(events), events[1])
        self.assertIs(wait_any(events, 5), events[3])
        self.assertIsNone(wait_any(events, 0))
        self.assertIsNone(wait_any(events, 0.05))
        waiter = Waiter(lambda: wait_any(events))
        events[4].set()
        self.assertIs(waiter.get(), events[4])

    def test_all_or_nothing(self):
        event, semaphore = self.keep(Event.create()), self.keep(Semaphore.create(None, 1))
        lock = self.keep(Mutex.create())
        self.assertFalse(wait_all([event, semaphore, lock], 0.05))
        self.assertTrue(semaphore.wait(0))
        semaphore.release()
        waiter = Waiter(lambda: wait_all([event, semaphore, lock]))
        event.set()
        self.assertTrue(waiter.get())
        self.assertFalse(event.wait(0) or semaphore.wait(0) or lock.reopen().wait(0))

    def test_all_of_64_types_mixed(self):
        objects = [self.keep(Semaphore.create(None, 1) if i % 2 else Event.create(signaled=True))
                   for i in range(64)]
        self.assertTrue(wait_all(objects))
        self.assertFalse(any(one.wait(0) for one in objects))
        objects[63].release()
        self.assertIs(wait_any(objects, 5), objects[63])
        with self.assertRaises(ValueError):
            wait_any(objects + objects[:1])
        with self.assertRaises(ValueError):
            wait_any([])

    def test_abandoned_is_told_of_the_right_one(self):
        locks = [self.keep(Mutex.create()) for _ in range(3)]
        dying = locks[1].reopen()
        dying.acquire()
        dying.close()
        self.assertTrue(wait_all(locks, 5))
        self.assertEqual([lock.abandoned for lock in locks], [False, True, False])

    def test_a_handle_that_may_not_read(self):
        event = self.keep(Event.create("may-not", signaled=True))
        writer = self.keep(Event.open("may-not", access="w"))
        for objects in ([event, writer], [writer, event], [writer]):
            for call in (wait_any, wait_all):
                with self.assertRaises(OSError):
                    call(objects, 0)
        self.assertTrue(event.wait(0))

    def test_handles_cannot_be_guessed(self):
        event = self.keep(Event.create(signaled=True))
        number, key = struct.unpack("=QQ", event._handle())
        for wrong in ((number, key ^ 1), (number + 1, key), (0, key), (1 << 63, key)):
            event._proof = struct.pack("=QQ", *wrong)
            with self.assertRaises(OSError) as caught:
                event.wait(0)
            self.assertIn(caught.exception.errno, (errno.EBADF, errno.EACCES, errno.EINVAL))
        event._proof = None
        self.assertTrue(event.wait(0))


class Readiness(TestCase):
    """fileno() where Python takes one."""

    def setUp(self):
        super().setUp()
        self.event = self.keep(Event.create("ready"))

    def test_select_and_poll(self):
        self.assertEqual(select.select([self.event], [], [], 0)[0], [])
        poll = select.poll()
        poll.register(self.event, select.POLLIN)
        self.assertEqual(poll.poll(0), [])
        self.event.set()
        self.assertEqual(select.select([self.event], [], [], 5)[0], [self.event])
        self.assertEqual(poll.poll(5000), [(self.event.fileno(), select.POLLIN)])
        self.assertTrue(self.event.wait(0))
        self.assertEqual(poll.poll(0), [])

    def test_selectors_wake(self):
        for kind in (selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector):
            with kind() as selector:
                selector.register(self.event, selectors.EVENT_READ, "it")
                self.assertEqual(selector.select(0), [])
                setter = threading.Timer(0.05, self.event.set)
                setter.start()
                self.assertEqual([key.data for key, _ in selector.select(20)], ["it"])
                setter.join()
                self.assertTrue(self.event.wait(0))
                self.assertEqual(selector.select(0), [])

    def test_epoll_by_edge(self):
        with select.epoll() as epoll:
            epoll.register(self.event, select.EPOLLIN | select.EPOLLET)
            self.assertEqual(epoll.poll(0), [])
            for _ in range(5):
                self.event.set()
                self.assertEqual(epoll.poll(20), [(self.event.fileno(), select.EPOLLIN)])
                self.assertTrue(self.event.wait(0))

    def test_asyncio(self):
        asyncio.run(self.serve())

    async def serve(self):
        loop, got = asyncio.get_running_loop(), asyncio.Queue()

        def ready():
            if self.event.wait(0):
                got.put_nowait("signaled")

        loop.add_reader(self.event, ready)
        setter = threading.Thread(target=self.set_five_times)
        setter.start()
        for _ in range(5):
            self.assertEqual(await asyncio.wait_for(got.get(), 20), "signaled")
            self.taken.release()
        loop.remove_reader(self.event)
        setter.join()
        await loop.shutdown_default_executor()

    taken = threading.Semaphore(1)

    def set_five_times(self):
        with contextlib.closing(Event.open("ready")) as event:
            for _ in range(5):
                self.taken.acquire()
                event.set()

    def test_asyncio_wait_in_a_thread(self):
        async def both():
            waiting = asyncio.to_thread(self.event.wait, 20)
            task = asyncio.ensure_future(waiting)
            await asyncio.sleep(0)
            self.event.set()
            return await task

        self.assertTrue(asyncio.run(both()))

    def test_flags_of_the_descriptor(self):
        self.assertTrue(fcntl.fcntl(self.event, fcntl.F_GETFD) & fcntl.FD_CLOEXEC)


if __name__ == "__main__":
    resource_tracker.ensure_running()  # a spawned process' parent has one; it is no leak of ours
    unittest.main()
