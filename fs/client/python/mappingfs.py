"""Named objects of a mappingfs mount: shared memory, events, semaphores, mutexes, timers and jobs.

Every object is a file, and plain calls do for most of it: open(), mmap, cat, echo. This module does
what they cannot say (create an object with all its attributes before anybody sees the name, wait
for several, with a time-out) and gives the rest the shape that Python programs expect.

    import mappingfs

    with mappingfs.Mapping.create("frames", size=1 << 20) as frames:
        frames.view[0:5] = b"hello"

    ready = mappingfs.Event.create("ready", manual=True)    # in one process
    mappingfs.Event.open("ready").wait(timeout=2.5)         # in another: True, or False: timed out

    with mappingfs.Mutex.create("lock", exist_ok=True) as lock:
        if lock.abandoned: ...                              # the last owner died with it

    from mappingfs import SharedMemory, ShareableList       # as of multiprocessing.shared_memory

Names. A name is relative to a `Directory`: the argument `directory` of every create() and open(),
else the environment's MAPPINGFS_MOUNT, else the root of the only mount there is. A name that is
absolute or begins with "./" or "../" is a path, which must lead into a mount.

Handles. An object of these classes holds one open file description: fileno() for select, selectors
and asyncio's add_reader(); readable means that a wait would succeed at once. fork() shares the
description. The owner of a mutex *is* the description: threads and forked children that are to
exclude each other each need a handle of their own, reopen(). Pickling a named object opens it
again on the other side.

Errors are OSErrors, each also of the usual class (FileExistsError, ...); all are `Error`. Waits are
interrupted by signals as all of Python's calls are (PEP 475): handlers run, KeyboardInterrupt is
raised, otherwise the wait goes on. An interrupted wait has taken nothing.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import functools
import json
import math
import mmap
import os
import re
import secrets
import select
import signal
import socket
import stat
import struct
import sys
import time
import types
from multiprocessing import shared_memory as _stock
from typing import (Any, Callable, Dict, Iterator, List, NamedTuple, NoReturn, Optional, Sequence,
                    Tuple, Type, TypeVar, Union)

__all__ = [
    "Directory", "Mapping", "Event", "Semaphore", "Mutex", "Timer", "Job", "wait_any", "wait_all",
    "SharedMemory", "ShareableList", "Error", "NameInUse", "NotFound", "Refused", "WrongType",
    "NoMount", "Overflow",
]

PERMANENT = "permanent"      # until unlink()
TEMPORARY = "temporary"      # until the last handle and view, of anyone, is gone
HANDLE_BOUND = "handle"      # the name goes with the last handle, the pages with the last view

Path = Union[str, "os.PathLike[str]"]
AnyObject = TypeVar("AnyObject", bound="_Object")
AnyWaitable = TypeVar("AnyWaitable", bound="Waitable")


# --- errors ---

class Error(OSError):
    """What went wrong, why, and what to do; errno and filename as of any OSError."""


class NameInUse(Error, FileExistsError):
    """The name is taken; by what stands in the text."""


class NotFound(Error, FileNotFoundError):
    """There is no such name."""


class Refused(Error, PermissionError):
    """Owner, mode, or the access this handle was opened with do not allow it."""


class WrongType(Error):
    """The name is of an object of another type, which stands in the text."""


class NoMount(Error):
    """No mount of mappingfs is to be found, or there are several, or it is dead."""


class Overflow(Error, ValueError):
    """A semaphore would have gone over its maximum; its count is unchanged."""


_CLASSES: Dict[int, Type[Error]] = {
    errno.EEXIST: NameInUse, errno.ENOENT: NotFound, errno.EACCES: Refused, errno.EPERM: Refused,
    errno.EBADF: Refused, errno.ENODEV: NoMount, errno.ENOTUNIQ: NoMount, errno.ENOTCONN: NoMount,
    errno.EOVERFLOW: Overflow,
}

_ADVICE = {
    errno.EACCES: "check owner and mode of the name and its directory",
    errno.EEXIST: "choose another name, or remove the one in use",
    errno.EMFILE: "close some descriptors of this program, or raise its limit",
    errno.ENAMETOOLONG: "a name has at most 255 bytes, a path 4095",
    errno.ENOSPC: "see the limit and its use with `mapctl status`",
    errno.ENOTCONN: "the file system is dead; unmount it and mount it again",
}


def _fail(code: int, text: str, name: Optional[Path] = None) -> NoReturn:
    if code in _ADVICE and ";" not in text:
        text += "; " + _ADVICE[code]
    raise _CLASSES.get(code, Error)(code, text, None if name is None else os.fspath(name)) from None


@contextlib.contextmanager
def _explained(what: str, name: Optional[Path] = None,
               why: Optional[Dict[int, str]] = None) -> Iterator[None]:
    """Says of a failing call what it was for, and why it failed, where we know better."""
    try:
        yield
    except Error:
        raise
    except OSError as error:
        code = error.errno or errno.EIO
        _fail(code, f"{what}: {(why or {}).get(code, os.strerror(code))}", name)


# --- mounts ---

_TYPE = b"fuse.mappingfs"


class _MountLine(NamedTuple):
    device: int
    root: str
    point: str

    def is_visible(self) -> bool:
        """A mount point can be hidden by a later mount. A dead mount is worth naming."""
        try:
            return os.stat(self.point).st_dev == self.device
        except OSError as error:
            return error.errno == errno.ENOTCONN


def _unescape(field: bytes) -> str:
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda m: bytes((int(m[1], 8),)), field))


def _mount_lines() -> List[_MountLine]:
    """id parent major:minor root point options [optional...] - type source super-options"""
    lines = []
    with open("/proc/self/mountinfo", "rb") as mountinfo:
        for line in mountinfo:
            left, _, right = line.partition(b" - ")
            if right.split(b" ", 1)[0] == _TYPE:
                _, _, device, root, point = left.split(b" ")[:5]
                numbers = os.makedev(*map(int, device.split(b":")))
                lines.append(_MountLine(numbers, _unescape(root), _unescape(point)))
    return lines


def _only_mount() -> str:
    """Of several mounts of one device (binds), the one that shows its root stands for all."""
    found: Dict[int, _MountLine] = {}
    for line in _mount_lines():
        if line.is_visible() and (line.device not in found or line.root == "/"):
            found[line.device] = line
    if not found:
        _fail(errno.ENODEV, "no mount of mappingfs is visible here; mount one, or set "
              "MAPPINGFS_MOUNT to a directory of one")
    if len(found) > 1:
        points = ", ".join(sorted(line.point for line in found.values()))
        _fail(errno.ENOTUNIQ, f"there are several mounts ({points}); set MAPPINGFS_MOUNT to one, "
              "or name a directory")
    return next(iter(found.values())).point


def _socket_of(device: int) -> str:
    """.control of the mount, or where it was bound to: a mount whose root is /.control."""
    for line in _mount_lines():
        if line.device == device and line.root == "/.control":
            return line.point
        if line.device == device and line.root == "/" and line.is_visible():
            return line.point + "/.control"
    _fail(errno.ENOTCONN, "the control socket is not visible here, and this needs it; bind "
          "MOUNT/.control into this container, or ask outside of it")


# --- the control socket: fs/wire.h ---

_MAGIC, _VERSION = 0x4353464D, 2
_STATUS, _WHO, _CONFIGURE = 1, 2, 3
_REQUEST = struct.Struct("=IHHIIQIIII")  # magic version type length flags size kind initial max 0
_REPLY = struct.Struct("=IHHIi256s")     # magic version type length error text

(_BIND, _SPARSE, _SET_SIZE, _TEMPORARY, _PERMANENT, _READ_ONLY, _HANDLE_BOUND, _MANUAL, _SIGNALED,
 _KILL_ON_CLOSE) = (1 << bit for bit in range(10))
_LIFETIMES = {None: 0, PERMANENT: _PERMANENT, TEMPORARY: _TEMPORARY, HANDLE_BOUND: _HANDLE_BOUND}

_RETRY_SECONDS, _ANSWER_SECONDS = 10, 120
_BROKEN = (errno.ECONNRESET, errno.ECONNREFUSED, errno.EPIPE, errno.EAGAIN, errno.ENOTCONN)


class _Broken(Exception):
    """The connection ended before the answer: the worker died, and another one comes."""


def _connect(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO,
                              struct.pack("@ll", _RETRY_SECONDS, 0))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO,
                              struct.pack("@ll", _ANSWER_SECONDS, 0))
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:  # through /proc, since a path can be longer than a socket address
            connection.connect(f"/proc/self/fd/{place}")
        finally:
            os.close(place)
        return connection
    except BaseException:
        connection.close()
        raise


def _receive(connection: socket.socket) -> Tuple[bytes, List[int]]:
    flags = socket.MSG_CMSG_CLOEXEC
    try:
        data, fds, _, _ = socket.recv_fds(connection, _REPLY.size, 1, flags)
    except ConnectionResetError:  # which can overtake a last word
        data, fds, _, _ = socket.recv_fds(connection, _REPLY.size, 1, flags | socket.MSG_DONTWAIT)
    return data, fds


def _attempt(path: str, request: bytes, fds: Sequence[int]) -> Tuple[bytes, List[int]]:
    try:
        connection = _connect(path)
    except OSError as error:
        if error.errno in _BROKEN and os.path.exists(path):
            raise _Broken from error
        raise
    with connection:
        try:
            try:
                socket.send_fds(connection, [request], fds)
            except (BrokenPipeError, ConnectionResetError):
                pass  # turned away at the door: the reply may say why
            data, got = _receive(connection)
        except OSError as error:
            if error.errno == errno.EAGAIN:
                _fail(errno.ETIMEDOUT, "the file system does not answer on its control socket")
            raise _Broken from error
    if not data:
        raise _Broken
    return data, got


def _exchange(path: str, request: bytes, fds: Sequence[int]) -> Tuple[bytes, List[int]]:
    """Requests are idempotent: one that breaks is sent again."""
    end, pause = time.monotonic() + _RETRY_SECONDS, 0.0005
    while True:
        try:
            return _attempt(path, request, fds)
        except _Broken as broken:
            if time.monotonic() >= end:
                cause = broken.__cause__
                _fail(getattr(cause, "errno", None) or errno.ECONNRESET, "the file system does "
                      "not answer on its control socket; look at its log, or mount it again", path)
        time.sleep(pause)
        pause = min(2 * pause, 0.2)


def _ask(device: int, kind: int, fds: Sequence[int] = (), *, flags: int = 0, size: int = 0,
         object_type: int = 0, initial: int = 0, maximum: int = 0) -> Optional[bytes]:
    """One request. The content of the descriptor that came with the answer, if one did."""
    request = _REQUEST.pack(_MAGIC, _VERSION, kind, _REQUEST.size, flags, size, object_type,
                            initial, maximum, 0)
    path = _socket_of(device)
    with _explained("cannot ask the file system", path):
        data, got = _exchange(path, request, fds)
    try:
        if len(data) != _REPLY.size:
            _fail(errno.EPROTO, "the answer on the control socket is not of mappingfs", path)
        magic, version, _, length, code, text = _REPLY.unpack(data)
        if (magic, version, length) != (_MAGIC, _VERSION, _REPLY.size):
            _fail(errno.EPROTO, "the answer on the control socket is of another version; use the "
                  "mappingfs.py that came with this mappingfs", path)
        if code:
            why = text.split(b"\0", 1)[0].decode(errors="replace")
            _fail(code, f"{os.strerror(code)}: {why}" if why else os.strerror(code))
        if not got:
            return None
        return os.pread(got[0], os.fstat(got[0]).st_size, 0)
    finally:
        for fd in got:
            os.close(fd)


# --- directories ---

def _is_path(name: str) -> bool:
    return name.startswith(("/", "./", "../")) or name in (".", "..")


class Directory:
    """A directory of a mount: a namespace. It holds no descriptor; the mount is not kept busy."""

    def __init__(self, path: Optional[Path] = None) -> None:
        """path: a mount or a directory in it; None: $MAPPINGFS_MOUNT, else the only mount."""
        if path is None:
            path = os.environ.get("MAPPINGFS_MOUNT") or _only_mount()
        self.path = os.path.abspath(os.fspath(path))
        with _explained("cannot look at the directory", self.path):
            status = os.stat(self.path)
        if all(line.device != status.st_dev for line in _mount_lines()):
            _fail(errno.ENODEV, "this is not in a mount of mappingfs", self.path)
        if not stat.S_ISDIR(status.st_mode):
            _fail(errno.ENOTDIR, "this is not a directory", self.path)
        self.device = status.st_dev

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.path,)

    def status(self) -> Dict[str, Any]:
        """What the mount says of itself: mode, limits, use."""
        answer: Dict[str, Any] = json.loads(_ask(self.device, _STATUS) or b"{}")
        return answer

    def unlink(self, name: Path) -> None:
        """Takes the name away; the object lives on while it is used."""
        with self._parent(name) as (parent, base), _explained("cannot remove it", name):
            os.unlink(base, dir_fd=parent)

    def resolve(self, name: Path) -> str:
        """The path of a name."""
        text = os.fspath(name)
        return os.path.abspath(text) if _is_path(text) else os.path.join(self.path, text)

    @contextlib.contextmanager
    def _parent(self, name: Path) -> Iterator[Tuple[int, str]]:
        """The directory that a name is in, opened, and the rest of the name."""
        text = os.fspath(name)
        above, base = os.path.split(text)
        if base in ("", ".", ".."):
            _fail(errno.EINVAL, "this names a directory; give the name of an object in it", name)
        place = os.path.join("" if _is_path(text) else self.path, above) or "."
        with self._open(place, os.O_PATH | os.O_DIRECTORY) as fd:
            yield fd, base

    @contextlib.contextmanager
    def _open(self, path: str, flags: int, **options: int) -> Iterator[int]:
        with _explained("cannot open it", path):
            fd = os.open(path, flags | os.O_CLOEXEC, **options)
        try:
            if os.fstat(fd).st_dev != self.device:
                _fail(errno.EXDEV, f"this is not in the mount that {self.path} is in", path)
            yield fd
        finally:
            os.close(fd)


AnyDirectory = Union[None, str, "os.PathLike[str]", Directory]
_default: Optional[Tuple[Optional[str], Directory]] = None


def _directory(where: AnyDirectory, name: Optional[Path] = None) -> Directory:
    """The directory meant. The default is remembered as long as it is still what is there."""
    global _default
    if isinstance(where, Directory):
        return where
    if where is not None:
        return Directory(where)
    if name is not None and _is_path(os.fspath(name)):
        return Directory(os.path.dirname(os.path.abspath(os.fspath(name))))
    wanted = os.environ.get("MAPPINGFS_MOUNT")
    if _default is not None and _default[0] == wanted:
        with contextlib.suppress(OSError):
            if os.stat(_default[1].path).st_dev == _default[1].device:
                return _default[1]
    _default = wanted, Directory()
    return _default[1]


# --- creation ---

def _proc(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


@functools.lru_cache(maxsize=None)
def _libc() -> Any:
    import ctypes  # only where Python has no call of its own
    return ctypes.CDLL(None, use_errno=True)


def _rename_no_replace(directory: int, old: str, new: str) -> None:
    import ctypes
    if _libc().renameat2(directory, os.fsencode(old), directory, os.fsencode(new), 1):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


class _Newborn:
    """An object that has no name yet: it is complete before anybody sees it, and goes away by
    itself if we are killed. Where O_TMPFILE cannot be had (Linux < 6.2) it has a hidden name."""

    def __init__(self, directory: int, mode: int, access: int) -> None:
        self._directory, self._hidden = directory, ""
        try:
            self._held = os.open(".", os.O_TMPFILE | access | os.O_CLOEXEC, mode, dir_fd=directory)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
                raise
            self._held = self._make_hidden(mode)
        try:
            self.fd = os.open(_proc(self._held), os.O_PATH | os.O_CLOEXEC)
        except BaseException:
            self._discard()
            raise
        self.path = _proc(self.fd)

    def _make_hidden(self, mode: int) -> int:
        self._hidden = f".mapping-{secrets.token_hex(8)}"
        os.mknod(self._hidden, stat.S_IFREG | mode, dir_fd=self._directory)
        return os.open(self._hidden, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC,
                       dir_fd=self._directory)

    def publish(self, name: str) -> None:
        if self._hidden:
            _rename_no_replace(self._directory, self._hidden, name)
            self._hidden = ""
        else:
            os.link(self.path, name, dst_dir_fd=self._directory, follow_symlinks=True)

    def _discard(self) -> None:
        os.close(self._held)
        if self._hidden:
            with contextlib.suppress(OSError):
                os.unlink(self._hidden, dir_fd=self._directory)

    def __enter__(self) -> _Newborn:
        return self

    def __exit__(self, *_: Any) -> None:
        os.close(self.fd)
        self._discard()


class _Attributes(NamedTuple):
    """What all types are created with."""
    lifetime: Optional[str] = None
    mode: Optional[int] = None
    gid: Optional[int] = None

    def check(self) -> None:
        if self.lifetime not in _LIFETIMES:
            raise ValueError(f"a lifetime is 'permanent', 'temporary' or 'handle', not "
                             f"{self.lifetime!r}")
        if self.mode is not None and self.mode & ~0o7777:
            raise ValueError("the mode has bits beyond 07777")

    def apply(self, path: str) -> None:
        if self.gid is not None:
            with _explained(f"cannot give it to group {self.gid}", None,
                            {errno.EPERM: "you must own it and be in that group"}):
                os.chown(path, -1, self.gid)
        if self.mode is not None:
            with _explained("cannot set its mode"):
                os.chmod(path, self.mode)


# --- objects ---

_ACCESS = {"rw": os.O_RDWR, "r": os.O_RDONLY, "w": os.O_WRONLY}
_KINDS = ("mapping", "event", "semaphore", "mutex", "timer", "job")


def _article(word: str) -> str:
    return ("an " if word[:1] in "aeiou" else "a ") + word


def _kind_of(path: str) -> str:
    status = os.stat(path)
    if stat.S_ISDIR(status.st_mode):
        return "directory"
    if not stat.S_ISREG(status.st_mode):
        return "special file"
    try:
        return os.getxattr(path, "user.mapping.type").decode()
    except OSError:
        return "mapping"


class _Object:
    """A handle on an object: an open file description, closed by close(), `with` or the end."""

    _kind = ""
    _fd = -1
    name: Optional[str] = None
    created = False  # False: the name was there already (exist_ok)

    def __init__(self, fd: int, name: Optional[str] = None,
                 directory: Optional[Directory] = None) -> None:
        """Takes over a descriptor, as from socket.recv_fds(). create() and open() are for names."""
        self._fd = fd
        self.name = name
        self.directory = directory

    @classmethod
    def _adopt(cls: Type[AnyObject], fd: int, name: Optional[Path],
               directory: Directory) -> AnyObject:
        return cls(fd, None if name is None else os.fspath(name), directory)

    @classmethod
    def _create(cls: Type[AnyObject], name: Optional[Path], where: AnyDirectory, exist_ok: bool,
                common: _Attributes, *, access: int = os.O_RDWR, file: Optional[int] = None,
                prepare: Optional[Callable[[AnyObject], Any]] = None,
                **request: int) -> AnyObject:
        """prepare: what is to be done with it before anybody else can find it."""
        common.check()
        directory = _directory(where, name)
        try:
            return cls._create_new(name, directory, common, access, file, prepare, request)
        except FileExistsError:
            if name is None:
                raise
            return cls._use_existing(name, directory, exist_ok, access)

    @classmethod
    def _create_new(cls: Type[AnyObject], name: Optional[Path], directory: Directory,
                    common: _Attributes, access: int, file: Optional[int],
                    prepare: Optional[Callable[[AnyObject], Any]],
                    request: Dict[str, int]) -> AnyObject:
        with contextlib.ExitStack() as stack:
            if name is None:
                parent, base = stack.enter_context(
                    directory._open(directory.path, os.O_PATH | os.O_DIRECTORY)), ""
            else:
                parent, base = stack.enter_context(directory._parent(name))
            stack.enter_context(_explained("cannot create it", name))
            mode = 0o666 if common.mode is None else 0o600
            newborn = stack.enter_context(_Newborn(parent, mode, os.O_WRONLY))
            request["flags"] = request.get("flags", 0) | _LIFETIMES[common.lifetime]
            _ask(directory.device, _CONFIGURE, [newborn.fd] + ([] if file is None else [file]),
                 object_type=_KINDS.index(cls._kind), **request)
            made = cls._adopt(os.open(newborn.path, access | os.O_CLOEXEC), name, directory)
            try:
                common.apply(newborn.path)
                if prepare is not None:
                    prepare(made)
                if name is not None:
                    newborn.publish(base)
            except BaseException:
                made.close()
                raise
        made.created = True
        return made

    @classmethod
    def _use_existing(cls: Type[AnyObject], name: Path, directory: Directory, exist_ok: bool,
                      access: int) -> AnyObject:
        found = "in use"
        with contextlib.suppress(OSError):
            found = _article(_kind_of(directory.resolve(name)))
        if not exist_ok or found != _article(cls._kind):
            _fail(errno.EEXIST, f"the name is {found}; choose another, or remove that one first"
                  if found == "in use" else
                  f"the name is in use: it is {found}; choose another, or remove that one first",
                  name)
        return cls._open_existing(name, directory, access)

    @classmethod
    def _open_existing(cls: Type[AnyObject], name: Path, directory: Directory,
                       access: int) -> AnyObject:
        with contextlib.ExitStack() as stack:
            parent, base = stack.enter_context(directory._parent(name))
            stack.enter_context(_explained("cannot open it", name))
            fd = stack.enter_context(directory._open(base, os.O_PATH, dir_fd=parent))
            kind = _kind_of(_proc(fd))
            if kind != cls._kind:
                raise WrongType(errno.EISDIR if kind == "directory" else errno.EINVAL,
                                f"this is {_article(kind)}, not {_article(cls._kind)}",
                                os.fspath(name))
            opened = os.open(_proc(fd), access | os.O_CLOEXEC)
        return cls._adopt(opened, name, directory)

    def fileno(self) -> int:
        if self._fd < 0:
            raise ValueError(f"this {self._kind} is closed")
        return self._fd

    @property
    def closed(self) -> bool:
        return self._fd < 0

    def close(self) -> None:
        """Closes the handle; twice is fine. The object lives as its lifetime says."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def unlink(self) -> None:
        """Takes the name away; the object lives on while it is used."""
        if self.name is None or self.directory is None:
            raise ValueError(f"this {self._kind} has no name")
        self.directory.unlink(self.name)

    def reopen(self: AnyObject, access: Optional[str] = None) -> AnyObject:
        """Another handle on the same object, independent of this one. access: "r", "w", "rw"."""
        flags = fcntl.fcntl(self.fileno(), fcntl.F_GETFL) & os.O_ACCMODE
        if access is not None:
            flags = _ACCESS[access]
        with _explained("cannot open it again", self.name):
            fd = os.open(_proc(self.fileno()), flags | os.O_CLOEXEC)
        return type(self)(fd, self.name, self.directory)

    def attribute(self, name: str) -> Optional[str]:
        """user.mapping.NAME: type, lifetime, backing, commit, handles, views, flush, state..."""
        try:
            value = os.getxattr(_proc(self.fileno()), f"user.mapping.{name}")
        except OSError as error:
            if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
                return None
            raise
        return value.decode(errors="replace")

    @property
    def lifetime(self) -> Optional[str]:
        return self.attribute("lifetime")

    def who(self) -> Dict[str, Any]:
        """The processes that hold or map it (root and the owner see all, others their own)."""
        fd = os.open(_proc(self.fileno()), os.O_PATH | os.O_CLOEXEC)
        try:
            answer: Dict[str, Any] = json.loads(_ask(os.fstat(fd).st_dev, _WHO, [fd]) or b"{}")
            return answer
        finally:
            os.close(fd)

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # BufferError; or the interpreter ends, and half of it is gone
            pass

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"fd={self._fd}"
        return f"<mappingfs.{type(self).__name__} {self.name!r} {state}>"

    def __reduce__(self) -> Tuple[Any, ...]:
        if self.name is None or self.directory is None:
            raise TypeError(f"a {self._kind} without a name cannot be pickled; send its "
                            "descriptor (multiprocessing.reduction.send_handle)")
        access = fcntl.fcntl(self.fileno(), fcntl.F_GETFL) & os.O_ACCMODE
        return _reopen_by_name, (type(self), self.directory.resolve(self.name), access)


def _reopen_by_name(cls: Type[AnyObject], path: str, access: int) -> AnyObject:
    return cls._open_existing(path, _directory(None, path), access)


# --- mapping ---

def _map(fd: int, size: int, **how: Any) -> mmap.mmap:
    """mmap.mmap() keeps a duplicate of the descriptor, which is a handle, unless it is told not to
    (Python 3.13): before, a handle-bound object's name lives as long as Python's views of it."""
    if sys.version_info >= (3, 13):
        how["trackfd"] = False
    return mmap.mmap(fd, size, **how)


class Mapping(_Object):
    """Memory that all who open it share. `view` is all of it; with `with` it is closed at the end.
    """

    _kind = "mapping"
    _view: Optional[mmap.mmap] = None

    @classmethod
    def create(cls, name: Optional[Path] = None, size: Optional[int] = None, *,
               file: Union[None, int, Any] = None, read_only: bool = False, sparse: bool = False,
               lifetime: Optional[str] = None, mode: Optional[int] = None,
               gid: Optional[int] = None, directory: AnyDirectory = None,
               exist_ok: bool = False) -> Mapping:
        """Creates an object; the name appears only when all is done. name None: it has none.

        size: bytes; the room is taken now, or charged as it is touched with `sparse`.
        file: a regular file (descriptor or file object) whose pages the object's shall be.
        read_only: of a bound file, though the descriptor could write.
        lifetime: PERMANENT, TEMPORARY, HANDLE_BOUND; None: as the directory or mount has it.
        mode: exactly; None: 0666 less the umask.
        exist_ok: an existing mapping is opened as it is (its size stands); see `created`.
        """
        flags = (_BIND if file is not None else 0) | (_SPARSE if sparse else 0)
        flags |= (_READ_ONLY if read_only else 0) | (_SET_SIZE if size is not None else 0)
        if size is None and file is None:
            raise ValueError("a mapping needs a size, or a file to take it from")
        if size is not None and not 0 < size < 1 << 63:
            raise ValueError("a size is at least 1 byte and less than 2 ** 63")
        external = None if file is None else file if isinstance(file, int) else file.fileno()
        writable = external is None or (not read_only and fcntl.fcntl(
            external, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR)
        return cls._create(name, directory, exist_ok, _Attributes(lifetime, mode, gid),
                           access=os.O_RDWR if writable else os.O_RDONLY, file=external,
                           flags=flags, size=size or 0)

    @classmethod
    def open(cls, name: Path, *, writable: bool = True,
             directory: AnyDirectory = None) -> Mapping:
        """Opens an existing mapping; WrongType if the name is of something else."""
        return cls._open_existing(name, _directory(directory, name),
                                  os.O_RDWR if writable else os.O_RDONLY)

    @property
    def size(self) -> int:
        return os.fstat(self.fileno()).st_size

    def resize(self, size: int) -> None:
        """Sets the size. Growing takes the room; views made before do not grow."""
        with _explained("cannot set the size", self.name,
                        {errno.EBUSY: "a view, ours or another's, reaches beyond it"}):
            os.ftruncate(self.fileno(), size)

    @property
    def view(self) -> mmap.mmap:
        """All of it, as it was when first asked for; read-only if the handle is."""
        if self._view is None:
            self._view = self.map()
        return self._view

    def map(self, offset: int = 0, length: int = 0, *, copy: bool = False) -> mmap.mmap:
        """A view of its own, the caller's to close. length 0: to the end; offset: a multiple of
        mmap.ALLOCATIONGRANULARITY. copy: own writes are nobody else's."""
        protection = mmap.PROT_READ
        if copy or fcntl.fcntl(self.fileno(), fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR:
            protection |= mmap.PROT_WRITE
        with _explained("cannot make a view", self.name):
            return _map(self.fileno(), length or max(self.size - offset, 0), offset=offset,
                        flags=mmap.MAP_PRIVATE if copy else mmap.MAP_SHARED, prot=protection)

    def flush(self) -> None:
        """Makes it durable now, views included; the error of its file, each time until it works."""
        with _explained("flushing failed; its pages are kept and it is tried again", self.name):
            os.fsync(self.fileno())

    def close(self) -> None:
        """Closes `view` and the handle. BufferError while a memoryview of `view` is alive."""
        if self._view is not None:
            self._view.close()
            self._view = None
        super().close()

    def __enter__(self) -> Mapping:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


# --- waiting ---

_WAIT = struct.Struct("=IIIIQ")  # index result count flags deadline, then (handle, key) each
_WAIT_MAX, _WAIT_ALL, _NO_DEADLINE = 64, 1, (1 << 64) - 1
_ABANDONED = 2                   # enum wait_result
_GIL_FREE = 1024                 # fcntl.ioctl() keeps the lock of the interpreter for more


def _ioc(reads: bool, writes: bool, number: int, size: int) -> int:
    odd = os.uname().machine.startswith(("ppc", "mips", "sparc", "alpha"))
    direction = (2 if reads else 0) | ((4 if odd else 1) if writes else 0)
    return direction << (29 if odd else 30) | size << 16 | ord("M") << 8 | number


_IOC_HANDLE = _ioc(True, False, 1, 16)


def _ioctl(fd: int, code: int, buffer: bytearray) -> None:
    if len(buffer) <= _GIL_FREE:
        fcntl.ioctl(fd, code, buffer, True)
        return
    import ctypes
    pointer = (ctypes.c_char * len(buffer)).from_buffer(buffer)
    if _libc().ioctl(fd, ctypes.c_ulong(code), pointer) < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _deadline(timeout: Optional[float]) -> int:
    if timeout is None or timeout == math.inf:
        return _NO_DEADLINE
    if math.isnan(timeout):
        raise ValueError("a time-out that is not a number")
    if timeout <= 0:
        return 0
    deadline = time.monotonic_ns() + math.ceil(timeout * 1e9)
    return deadline if deadline < 1 << 62 else _NO_DEADLINE  # a hundred years are for ever


def _wait(objects: Sequence[Waitable], wait_all_: bool,
          timeout: Optional[float]) -> Optional[Tuple[int, int]]:
    """Index and result, or None: timed out. Signals do not stretch it: the deadline is absolute."""
    if not 1 <= len(objects) <= _WAIT_MAX:
        raise ValueError(f"wait for 1 to {_WAIT_MAX} objects, not {len(objects)}")
    buffer = bytearray(_WAIT.pack(0, 0, len(objects), _WAIT_ALL if wait_all_ else 0,
                                  _deadline(timeout)))
    for one in objects:
        buffer += one._handle()
    code = _ioc(True, True, 2, len(buffer))
    while True:
        try:
            _ioctl(objects[0].fileno(), code, buffer)
        except InterruptedError:
            continue  # a handler that raises has ended it here
        except TimeoutError:
            return None
        except OSError as error:
            if len(objects) > 1 and error.errno == errno.EBADF:
                _fail(errno.EBADF, "cannot wait: an object was opened without reading, or is of "
                      "another mount; all have to be of one")
            _fail(error.errno or errno.EIO, f"cannot wait: {os.strerror(error.errno or 0)}",
                  objects[0].name)
        index, result = _WAIT.unpack_from(buffer)[:2]
        return index, result


def _granted(objects: Sequence[Waitable], index: int, result: int) -> None:
    """Notes for mutexes that were taken whether their last owner had died with them."""
    for i, one in enumerate(objects):
        if isinstance(one, Mutex):
            one.abandoned = result == _ABANDONED and i == index


def wait_any(objects: Sequence[AnyWaitable],
             timeout: Optional[float] = None) -> Optional[AnyWaitable]:
    """Waits for the first of up to 64 objects of one mount, and takes what its type takes; of
    several at once, the first in this order. None: timed out (seconds; 0: just try)."""
    got = _wait(objects, False, timeout)
    if got is None:
        return None
    _granted([objects[got[0]]], 0, got[1])
    return objects[got[0]]


def wait_all(objects: Sequence[Waitable], timeout: Optional[float] = None) -> bool:
    """Waits until all of up to 64 objects of one mount can be taken, and takes them together; else
    none. False: timed out."""
    got = _wait(objects, True, timeout)
    if got is None:
        return False
    _granted(objects, *got)
    return True


class Waitable(_Object):
    """What event, semaphore, mutex, timer and job have in common."""

    _proof: Optional[bytes] = None

    @classmethod
    def open(cls: Type[AnyWaitable], name: Path, *, access: str = "rw",
             directory: AnyDirectory = None) -> AnyWaitable:
        """Opens an existing object; WrongType if the name is of something else. access: "r" is
        enough to wait, "w" to change it."""
        return cls._open_existing(name, _directory(directory, name), _ACCESS[access])

    def wait(self, timeout: Optional[float] = None) -> bool:
        """Waits until the object is signaled for us and takes what its type takes. False: not
        within timeout (seconds; 0: just try; None: for ever). Waiters are served in order."""
        if timeout is None:
            with _explained("cannot wait", self.name,
                            {errno.EBADF: "this handle was opened without reading"}):
                try:
                    self._took(os.pread(self.fileno(), 64, 0))
                    return True
                except BlockingIOError:
                    pass  # the descriptor is O_NONBLOCK; we are asked to wait all the same
        got = _wait([self], False, timeout)
        if got is not None:
            _granted([self], *got)
        return got is not None

    def is_set(self) -> bool:
        """Would a wait succeed at once? Takes nothing."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return any(events & select.POLLIN for _, events in poll.poll(0))

    @property
    def state(self) -> Optional[str]:
        """The state in words, without taking it: user.mapping.state."""
        return self.attribute("state")

    def close(self) -> None:
        self._proof = None
        super().close()

    def _took(self, line: bytes) -> None:
        """What the line says that a wait has read."""

    def _handle(self) -> bytes:
        """The number and key by which the kernel's request names this handle."""
        if self._proof is None:
            with _explained("cannot wait", self.name):
                self._proof = fcntl.ioctl(self.fileno(), _IOC_HANDLE, bytes(16))
        return self._proof

    def _say(self, words: str, why: Optional[Dict[int, str]] = None) -> None:
        reasons = {errno.EBADF: "this handle was opened without writing", **(why or {})}
        with _explained(f"cannot {words.split()[0]} it", self.name, reasons):
            os.pwrite(self.fileno(), words.encode() + b"\n", 0)


class _ClosedByWith(Waitable):
    """`with` closes the handle at the end."""

    def __enter__(self: AnyWaitable) -> AnyWaitable:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class _HeldByWith(Waitable):
    """`with` takes at the beginning and releases at the end, as of threading's locks. (To close it
    at the end: contextlib.closing().)"""

    def acquire(self, blocking: bool = True, timeout: Optional[float] = None) -> bool:
        """As of threading.Lock: True, or False if it was not to be had in time."""
        if not blocking:
            if timeout not in (None, -1):
                raise ValueError("a time-out for a call that does not block")
            return self.wait(0)
        return self.wait(None if timeout == -1 else timeout)

    def release(self) -> None:
        raise NotImplementedError

    def __enter__(self: AnyWaitable) -> AnyWaitable:
        self.wait()
        return self

    def __exit__(self, *_: Any) -> None:
        self.release()


class Event(_ClosedByWith):
    """Signaled or not. Auto-reset: set() releases one waiter. Manual: all, until reset()."""

    _kind = "event"

    @classmethod
    def create(cls, name: Optional[Path] = None, *, manual: bool = False, signaled: bool = False,
               lifetime: Optional[str] = None, mode: Optional[int] = None,
               gid: Optional[int] = None, directory: AnyDirectory = None,
               exist_ok: bool = False) -> Event:
        """As Mapping.create()."""
        return cls._create(name, directory, exist_ok, _Attributes(lifetime, mode, gid),
                           flags=(_MANUAL if manual else 0) | (_SIGNALED if signaled else 0))

    def set(self) -> None:
        self._say("set")

    def reset(self) -> None:
        self._say("reset")

    clear = reset  # threading.Event's word

    def pulse(self) -> None:
        """Releases who waits now (auto-reset: the first), and leaves it unsignaled."""
        self._say("pulse")


class Semaphore(_HeldByWith):
    """A count of what may be taken."""

    _kind = "semaphore"

    @classmethod
    def create(cls, name: Optional[Path] = None, initial: int = 1,
               maximum: int = 0x7FFFFFFF, *, lifetime: Optional[str] = None,
               mode: Optional[int] = None, gid: Optional[int] = None,
               directory: AnyDirectory = None, exist_ok: bool = False) -> Semaphore:
        """As Mapping.create(). 0 <= initial <= maximum, 1 <= maximum < 2 ** 31."""
        if not (1 <= maximum < 1 << 31 and 0 <= initial <= maximum):
            raise ValueError("a semaphore needs a maximum of 1 to 2147483647, and an initial "
                             "value of 0 to that")
        return cls._create(name, directory, exist_ok, _Attributes(lifetime, mode, gid),
                           initial=initial, maximum=maximum)

    def release(self, n: int = 1) -> None:
        """Gives back n; Overflow (also a ValueError) if that goes over the maximum."""
        if n < 1:
            raise ValueError("n must be one or more")
        self._say(f"release {n}", {errno.EOVERFLOW: "the count would go over the maximum"})


class Mutex(_HeldByWith):
    """Owned by one handle at a time, recursively. Whose owner closes it or dies is abandoned: the
    next one to acquire it owns it and finds `abandoned` true, once."""

    _kind = "mutex"
    abandoned = False  # of the last acquisition through this object

    @classmethod
    def create(cls, name: Optional[Path] = None, *, owned: bool = False,
               lifetime: Optional[str] = None, mode: Optional[int] = None,
               gid: Optional[int] = None, directory: AnyDirectory = None,
               exist_ok: bool = False) -> Mutex:
        """As Mapping.create(). owned: by this handle, before anybody sees the name (ignored if the
        name existed)."""
        return cls._create(name, directory, exist_ok, _Attributes(lifetime, mode, gid),
                           prepare=Mutex.wait if owned else None)

    def release(self) -> None:
        """Refused (also a PermissionError) if this handle does not own it."""
        self._say("release", {errno.EPERM: "this handle does not own it"})

    def _took(self, line: bytes) -> None:
        self.abandoned = line.startswith(b"abandoned")


class Timer(_ClosedByWith):
    """Becomes signaled at a time, once or again and again; missed ticks are one."""

    _kind = "timer"

    @classmethod
    def create(cls, name: Optional[Path] = None, *, manual: bool = False,
               lifetime: Optional[str] = None, mode: Optional[int] = None,
               gid: Optional[int] = None, directory: AnyDirectory = None,
               exist_ok: bool = False) -> Timer:
        """As Mapping.create()."""
        return cls._create(name, directory, exist_ok, _Attributes(lifetime, mode, gid),
                           flags=_MANUAL if manual else 0)

    def set(self, due: Union[float, datetime.timedelta, datetime.datetime],
            period: Union[None, float, datetime.timedelta] = None) -> None:
        """due: seconds from now, or a datetime: that moment of the clock. It is unsignaled until
        then. period: seconds between the ticks that follow."""
        if isinstance(due, datetime.datetime):
            moment = round(due.timestamp() * 1000000)
            first = f"@{moment // 1000000}.{moment % 1000000:06d}"
        else:
            first = f"{_microseconds(due)}us"
        self._say(f"set {first}" if period is None else f"set {first} {_microseconds(period)}us")

    def cancel(self) -> None:
        """Stops it; the state stays as it is."""
        self._say("cancel")


def _microseconds(value: Union[float, datetime.timedelta]) -> int:
    seconds = value.total_seconds() if isinstance(value, datetime.timedelta) else value
    if not 0 <= seconds < math.inf:
        raise ValueError("a time must be 0 seconds or more, and finite")
    return math.ceil(seconds * 1000000)


class Job(_ClosedByWith):
    """A set of processes: signaled while no member is left and one was."""

    _kind = "job"

    @classmethod
    def create(cls, name: Optional[Path] = None, *, kill_on_close: bool = False,
               lifetime: Optional[str] = None, mode: Optional[int] = None,
               gid: Optional[int] = None, directory: AnyDirectory = None,
               exist_ok: bool = False) -> Job:
        """As Mapping.create(). kill_on_close: the last handle takes the members with it."""
        return cls._create(name, directory, exist_ok, _Attributes(lifetime, mode, gid),
                           flags=_KILL_ON_CLOSE if kill_on_close else 0)

    def add(self, process: Any) -> None:
        """A pid, or what has one: subprocess.Popen, multiprocessing.Process."""
        pid = process if isinstance(process, int) else process.pid
        self._say(f"add {int(pid)}", {errno.ESRCH: "there is no such process",
                                      errno.EPERM: "you may not signal that process"})

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Sends a signal to all members."""
        self._say(f"kill {int(number)}")


# --- multiprocessing.shared_memory ---

_CREATE_NEW = os.O_CREAT | os.O_EXCL


@contextlib.contextmanager
def _as_shm_open(name: str) -> Iterator[None]:
    """Errors are what shm_open(3)'s would be, and name what it would, not our path."""
    try:
        yield
    except OSError as error:
        code = errno.EINVAL if error.errno == errno.EISDIR else error.errno or errno.EIO
        raise OSError(code, os.strerror(code), name) from None


def _make_filename() -> str:
    return "/psm_" + secrets.token_hex(4)


class SharedMemory:
    """multiprocessing.shared_memory.SharedMemory, with the blocks in a mount of mappingfs.

    The same shape, and these differences:
    - There is no resource tracker: no process is started, nothing is removed because some process
      that had attached it ended, and `track` (3.13) is accepted and means nothing. A block is
      permanent until unlink(), as documented there, unless `lifetime` or the directory's default
      says otherwise: lifetime="temporary" is what the tracker tries to be: the kernel tells when
      the last handle and view are gone, SIGKILL included.
    - The room is taken at creation (OSError ENOSPC there, never SIGBUS later), and a block has its
      size before its name is there: who attaches never finds it empty.
    - An existing block whose mapping fails on attaching is not unlinked.
    - `directory` says where, instead of the module's default; it is pickled along.
    """

    _name: Optional[str] = None
    _fd = -1
    _mmap: Optional[mmap.mmap] = None
    _buf: Optional[memoryview] = None
    _flags = os.O_RDWR
    _mode = 0o600
    _size = 0

    def __init__(self, name: Optional[str] = None, create: bool = False, size: int = 0, *,
                 track: bool = True, lifetime: Optional[str] = None,
                 directory: AnyDirectory = None) -> None:
        if not size >= 0:
            raise ValueError("'size' must be a positive integer")
        if create:
            self._flags = _CREATE_NEW | os.O_RDWR
            if size == 0:
                raise ValueError("'size' must be a positive number different from zero")
        if name is None and not self._flags & os.O_EXCL:
            raise ValueError("'name' can only be None if create=True")
        _Attributes(lifetime).check()
        self._directory = _directory(directory)
        self._explicit = directory is not None
        self._fd, self._name = self._open(name, size, lifetime)
        try:
            self._size = os.fstat(self._fd).st_size
            self._mmap = _map(self._fd, self._size)
        except BaseException as error:
            self.close()
            if self._flags & os.O_EXCL:
                self.unlink()
            kind = _kind_of(self._path(self._name)) if not self._size else "mapping"
            if isinstance(error, (ValueError, OSError)) and kind != "mapping":
                raise WrongType(errno.EINVAL, f"this is {_article(kind)}, not a mapping",
                                self._name) from None
            raise
        self._buf = memoryview(self._mmap)

    def _open(self, name: Optional[str], size: int, lifetime: Optional[str]) -> Tuple[int, str]:
        while name is None:
            made = _make_filename()
            try:
                return self._create(made, size, lifetime), made
            except FileExistsError:
                continue
        if self._flags & _CREATE_NEW == _CREATE_NEW and size:
            return self._create("/" + name, size, lifetime), "/" + name
        path = self._path("/" + name)
        with _as_shm_open("/" + name):
            return os.open(path, self._flags | os.O_CLOEXEC, self._mode), "/" + name

    def _path(self, name: str) -> str:
        """Names as shm_open(3) has them: no slash but at the beginning, where it means nothing."""
        base = name.lstrip("/")
        if not base or "/" in base:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), name)
        if "\0" in base:
            raise ValueError("embedded null byte")
        return os.path.join(self._directory.path, base)

    def _create(self, name: str, size: int, lifetime: Optional[str]) -> int:
        path = self._path(name)
        if size >= 1 << 63:
            raise OverflowError("Python int too large to convert to C long")
        with self._directory._open(self._directory.path, os.O_PATH | os.O_DIRECTORY) as parent:
            access = os.O_RDWR if lifetime is None else os.O_WRONLY
            with _Newborn(parent, self._mode, access) as newborn:
                if lifetime is not None:
                    _ask(self._directory.device, _CONFIGURE, [newborn.fd], size=size,
                         flags=_SET_SIZE | _LIFETIMES[lifetime])
                fd = os.open(newborn.path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    with _as_shm_open(name):
                        if lifetime is None:
                            os.ftruncate(fd, size)
                        newborn.publish(os.path.basename(path))
                except BaseException:
                    os.close(fd)
                    raise
                return fd

    def __del__(self) -> None:
        try:
            self.close()
        except Exception:  # as in _Object
            pass

    def __reduce__(self) -> Tuple[Any, ...]:
        if not self._explicit:
            return self.__class__, (self.name, False, self.size)
        return (functools.partial(self.__class__, directory=self._directory),
                (self.name, False, self.size))

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self.name!r}, size={self.size})"

    @property
    def buf(self) -> Optional[memoryview]:
        "A memoryview of contents of the shared memory block."
        return self._buf

    @property
    def name(self) -> Optional[str]:
        "Unique name that identifies the shared memory block."
        return self._name[1:] if self._name and self._name.startswith("/") else self._name

    @property
    def size(self) -> int:
        "Size in bytes."
        return self._size

    def close(self) -> None:
        """Closes access to the shared memory from this instance but does not destroy the block."""
        if self._buf is not None:
            self._buf.release()
            self._buf = None
        if self._mmap is not None:
            self._mmap.close()
            self._mmap = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def unlink(self) -> None:
        """Takes the name away: once, by whoever is to do it. The block lives on while it is used.
        """
        if self._name:
            with _as_shm_open(self._name):
                os.unlink(self._path(self._name))


def _with_our_memory(function: Any) -> Any:
    """A function of multiprocessing.shared_memory as if SharedMemory were ours there."""
    ours = types.FunctionType(function.__code__, {**vars(_stock), "SharedMemory": SharedMemory},
                              function.__name__, function.__defaults__, function.__closure__)
    ours.__kwdefaults__ = function.__kwdefaults__
    return ours


class ShareableList(_stock.ShareableList):  # type: ignore[type-arg]
    """multiprocessing.shared_memory.ShareableList on our SharedMemory: the code and the layout are
    those of the running Python, only the block is elsewhere."""

    __init__ = _with_our_memory(_stock.ShareableList.__init__)
