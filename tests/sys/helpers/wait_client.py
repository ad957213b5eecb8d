"""wait_client.py PATH WAY...: waits once for the object by each way, and prints `WAY: what it read`.

Plain Python, as a user would write it who has only the file.
"""
import asyncio
import io
import os
import pathlib
import select
import selectors
import sys
import threading
import time

path = sys.argv[1]


def selected_by(kind):
    with open(path, "rb", buffering=0) as file, kind() as selector:
        selector.register(file, selectors.EVENT_READ)
        while not selector.select():
            pass
        return file.read(64)


def epoll(flags):
    with open(path, "rb", buffering=0) as file, select.epoll() as poller:
        poller.register(file, flags)
        poller.poll()
        return file.read(64)


def nonblock():
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    while True:
        try:
            return os.read(fd, 64)
        except BlockingIOError:
            poller = select.poll()
            poller.register(fd, select.POLLIN)
            poller.poll()


async def by_asyncio():
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    with open(path, "rb", buffering=0) as file:
        loop.add_reader(file, done.set)
        await done.wait()
        loop.remove_reader(file)
        return file.read(64)


def in_thread():
    got = []
    thread = threading.Thread(target=lambda: got.append(pathlib.Path(path).read_text()))
    thread.start()
    thread.join()
    return got[0]


def seek_back():
    with open(path, "rb", buffering=0) as file:
        file.read(64)
        assert file.read(64) == b""  # one line, then the end
        file.seek(0)
        return file.read(64)


def readinto():
    buffer = bytearray(64)
    with io.FileIO(path) as file:
        return buffer[:file.readinto(buffer)]


def hold():
    fd = os.open(path, os.O_RDWR)
    print("hold:", os.read(fd, 64).decode().strip(), flush=True)
    while True:
        time.sleep(1000)


def locked():
    fd = os.open(path, os.O_RDWR)
    try:
        return os.read(fd, 64)
    finally:
        os.write(fd, b"release\n")
        os.close(fd)


def junk():
    try:
        pathlib.Path(path).write_text("junk\n")
        return "no error"
    except OSError as error:
        return error.strerror


WAYS = {
    "read": lambda: open(path).read(),
    "readline": lambda: open(path).readline(),
    "iterate": lambda: "".join(line for line in open(path)),
    "binary": lambda: open(path, "rb").read(),
    "read_text": lambda: pathlib.Path(path).read_text(),
    "os_read": lambda: os.read(os.open(path, os.O_RDONLY), 64),
    "os_pread": lambda: os.pread(os.open(path, os.O_RDONLY), 64, 0),
    "readinto": readinto,
    "seek_back": seek_back,
    "nonblock": nonblock,
    "select": lambda: selected_by(selectors.SelectSelector),
    "poll": lambda: selected_by(selectors.PollSelector),
    "epoll": lambda: epoll(select.EPOLLIN),
    "epoll_edge": lambda: epoll(select.EPOLLIN | select.EPOLLET),
    "asyncio": lambda: asyncio.run(by_asyncio()),
    "thread": in_thread,
    "hold": hold,
    "locked": locked,
    "set_write": lambda: open(path, "w").write("set\n"),
    "set_append": lambda: open(path, "a").write("set\n"),
    "set_print": lambda: print("set", file=open(path, "r+")),
    "set_binary": lambda: open(path, "wb", buffering=0).write(b"set\n"),
    "set_write_text": lambda: pathlib.Path(path).write_text("set\n"),
    "set_os_write": lambda: os.write(os.open(path, os.O_WRONLY), b"set\n"),
    "junk": junk,
}

for way in sys.argv[2:]:
    result = WAYS[way]()
    if isinstance(result, (bytes, bytearray)):
        result = result.decode()
    print(f"{way}: {str(result).strip()}", flush=True)
