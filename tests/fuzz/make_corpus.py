#!/usr/bin/env python3
"""Writes the corpus files of tests/fuzz that are not plain text, as the targets read them."""
import os
import struct

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus")


def write(target, name, data):
    os.makedirs(os.path.join(HERE, target), exist_ok=True)
    with open(os.path.join(HERE, target, name), "wb") as file:
        file.write(data)


# --- wire: what fs/wire.h says ---

MAGIC, VERSION, SIZE = 0x4353464D, 2, 40
STATUS, WHO, CONFIGURE, WATCH, TOP, UPGRADE = range(1, 7)
PATH, DIRECTORY, EMPTY_FILE, FILE = 0, 1, 2, 3


def message(kind, fds=(), flags=0, size=0, object_type=0, initial=0, maximum=0, magic=MAGIC,
            version=VERSION, length=SIZE, cut=None):
    body = struct.pack("<IHHIIQIIII", magic, version, kind, length, flags, size, object_type,
                       initial, maximum, 0)
    return bytes([len(fds), *fds]) + body[:cut]


def wire():
    write("wire", "status", message(STATUS))
    write("wire", "who", message(WHO, [PATH]))
    write("wire", "who_opened", message(WHO, [DIRECTORY]))
    write("wire", "watch", message(WATCH))
    write("wire", "watch_tree", message(WATCH, [PATH]))
    write("wire", "top", message(TOP))
    write("wire", "upgrade", message(UPGRADE))
    write("wire", "configure_size", message(CONFIGURE, [PATH], 1 << 2 | 1 << 4, 65536))
    write("wire", "configure_sparse", message(CONFIGURE, [PATH], 1 << 2 | 1 << 1 | 1 << 3, 65536))
    write("wire", "configure_handle_bound", message(CONFIGURE, [PATH], 1 << 6))
    write("wire", "bind", message(CONFIGURE, [PATH, FILE], 1 << 0))
    write("wire", "bind_read_only", message(CONFIGURE, [PATH, FILE], 1 << 0 | 1 << 5))
    write("wire", "bind_grow", message(CONFIGURE, [PATH, EMPTY_FILE], 1 << 0 | 1 << 2, 9000))
    write("wire", "event", message(CONFIGURE, [PATH], 1 << 7 | 1 << 8, object_type=1))
    write("wire", "semaphore", message(CONFIGURE, [PATH], object_type=2, initial=2, maximum=10))
    write("wire", "mutex", message(CONFIGURE, [PATH], object_type=3))
    write("wire", "timer", message(CONFIGURE, [PATH], 1 << 7, object_type=4))
    write("wire", "job", message(CONFIGURE, [PATH], 1 << 9, object_type=5))
    write("wire", "half", message(STATUS, cut=20))
    write("wire", "other_version", message(STATUS, version=3))
    write("wire", "other_magic", message(STATUS, magic=1))
    write("wire", "too_long", message(STATUS) + bytes(600))
    write("wire", "too_many_descriptors", message(WHO, [PATH, PATH, PATH]))


# --- handshake: a byte of flags, the answer's length, the answer, the request ---


def header(opcode, length, node=1):
    return struct.pack("<IIQQIIII", length, opcode, 2, node, 0, 0, 0, 0)


def handshake():
    answer = struct.pack("<IIIIHHIIHHII", 7, 31, 131072, 3, 64, 48, 1 << 20, 1, 256, 0, 0, 0)
    answer += bytes(64 - len(answer))
    new = struct.pack("<IIIII", 7, 40, 131072, 1 << 30 | 1 << 28 | 1 << 29, 1 << 5) + bytes(44)
    write("handshake", "passthrough", bytes([1, 64]) + answer + header(26, 104) + new)
    write("handshake", "cached", bytes([0, 64]) + answer + header(26, 104) + new)
    old = struct.pack("<IIII", 7, 31, 131072, 3)
    write("handshake", "old", bytes([1, 64]) + answer + header(26, 56) + old)
    write("handshake", "short_answer", bytes([1, 24]) + answer[:24] + header(26, 104) + new)
    write("handshake", "cut", bytes([1, 64]) + answer + header(26, 104) + new[:18])
    write("handshake", "no_body", bytes([1, 64]) + answer + header(26, 40))


# --- requests: opcode, what is wrong, node, the body's length, the body ---

(LOOKUP, FORGET, GETATTR, SETATTR, READLINK, SYMLINK, _, MKNOD, MKDIR, UNLINK, RMDIR, RENAME, LINK,
 OPEN, READ, WRITE, STATFS, RELEASE) = range(1, 19)
FSYNC, SETXATTR, GETXATTR, LISTXATTR, REMOVEXATTR, FLUSH, INIT, OPENDIR, READDIR = range(20, 29)
CREATE, INTERRUPT, IOCTL, POLL, BATCH_FORGET = 35, 36, 39, 40, 42
FALLOCATE, RENAME2, LSEEK, TMPFILE = 43, 45, 46, 51
ROOT, NEWEST = 1, 0x40


def request(opcode, node, body=b"", wrong=0, length=None):
    return struct.pack("<BBBH", opcode, wrong, node, len(body) if length is None else length) + body


def text(value):
    return value.encode() + b"\0"


def create(name, flags=2):
    return request(CREATE, ROOT, struct.pack("<IIII", flags, 0o100644, 0, 0) + text(name))


def setxattr(node, name, value):
    return request(SETXATTR, node, struct.pack("<IIII", len(value), 0, 0, 0) + text(name) + value)


def words(node, handle, line):
    return request(WRITE, node, struct.pack("<QQIIQII", handle, 0, len(line), 0, 0, 2, 0) + line)


def wait(node, handle, offset=0, size=64):
    return request(READ, node, struct.pack("<QQIIQII", handle, offset, size, 0, 0, 0, 0))


def ioctl(node, handle, command, body, out=8):
    return request(IOCTL, node, struct.pack("<QIIQII", handle, 0, command, 0, len(body), out) + body)


def poll(node, handle):
    return request(POLL, node, struct.pack("<QQII", handle, 77, 1, 1))


def requests():
    handle = 1 << 32 | 1
    rw = struct.pack("<QQIIQII", 0, 0, 4096, 0, 0, 2, 0)
    write("requests", "names", create("a") + request(LOOKUP, ROOT, text("a")) +
          request(MKDIR, ROOT, struct.pack("<II", 0o755, 0) + text("d")) +
          request(RENAME2, ROOT, struct.pack("<QII", 2, 0, 0) + text("a") + text("b")) +
          request(SYMLINK, ROOT, text("s") + text("/etc/target")) + request(READLINK, NEWEST) +
          request(LINK, ROOT, struct.pack("<Q", 2) + text("l")) + request(UNLINK, ROOT, text("b")) +
          request(RMDIR, ROOT, text("d")))
    write("requests", "data", create("a") +
          request(WRITE, NEWEST, struct.pack("<QQIIQII", 0, 0, 5, 0, 0, 2, 0) + b"hello") +
          request(READ, NEWEST, rw) + request(FSYNC, NEWEST, struct.pack("<QII", 0, 0, 0)) +
          request(SETATTR, NEWEST, struct.pack("<IIQQ", 8, 0, 0, 8192) + bytes(64)) +
          request(FALLOCATE, NEWEST, struct.pack("<QQQII", 0, 0, 100, 0, 0)) +
          request(LSEEK, NEWEST, struct.pack("<QQII", 0, 0, 3, 0)) +
          request(RELEASE, NEWEST, bytes(24)) + request(FORGET, NEWEST, struct.pack("<Q", 1)))
    write("requests", "read_long", create("a") +
          request(SETATTR, NEWEST, struct.pack("<IIQQ", 8, 0, 0, 1 << 18) + bytes(64)) +
          request(READ, NEWEST, struct.pack("<QQIIQII", 0, 0, 200704, 0, 0, 2, 0)))
    write("requests", "attributes", create("a") + setxattr(NEWEST, "user.mapping.lifetime", b"temporary") +
          setxattr(NEWEST, "user.x", b"value") +
          request(GETXATTR, NEWEST, struct.pack("<II", 100, 0) + text("user.mapping.type")) +
          request(GETXATTR, NEWEST, struct.pack("<II", 100, 0) + text("user.x")) +
          request(LISTXATTR, NEWEST, struct.pack("<II", 200, 0)) +
          request(REMOVEXATTR, NEWEST, text("user.x")) + request(GETATTR, NEWEST, bytes(16)))
    write("requests", "limit", setxattr(ROOT, "user.mapping.limit", b"1m") + request(STATFS, ROOT) + create("a"))
    write("requests", "directory", create("a") + request(OPENDIR, ROOT, bytes(8)) + request(READDIR, ROOT, rw))
    write("requests", "tmpfile", request(TMPFILE, ROOT, struct.pack("<IIII", 1, 0o100600, 0, 0) + text("/")) +
          request(LINK, ROOT, struct.pack("<Q", 1 << 32 | 2) + text("x")) + request(RELEASE, NEWEST, bytes(24)))
    write("requests", "forgets", create("a") + request(
        BATCH_FORGET, 0, struct.pack("<II", 2, 0) + struct.pack("<QQQQ", 1 << 32 | 2, 1, 3, 1)))
    write("requests", "interrupt", request(INTERRUPT, 0, struct.pack("<Q", 4)))
    # The objects that are there from the start, by type, and their handles.
    event, semaphore, mutex, timer, job = range(0x31, 0x36)
    handles = {node: 1 << 32 | node - 0x30 for node in range(0x31, 0x36)}
    write("requests", "event", wait(event, handles[event]) + poll(event, handles[event]) +
          words(event, handles[event], b"set\n") + wait(event, handles[event]) +
          wait(event, handles[event], 4))
    write("requests", "semaphore", wait(semaphore, handles[semaphore]) +
          words(semaphore, handles[semaphore], b"release 2\nrelease\n"))
    write("requests", "mutex", wait(mutex, handles[mutex]) + words(mutex, handles[mutex], b"release\n") +
          wait(mutex, handles[mutex]) + request(RELEASE, mutex, struct.pack("<QIIQ", handles[mutex], 0, 0, 0)))
    write("requests", "timer", words(timer, handles[timer], b"set 1us 1s") + wait(timer, handles[timer]) +
          words(timer, handles[timer], b"cancel"))
    write("requests", "job", words(job, handles[job], b"add 1\n") + words(job, handles[job], b"kill TERM\n"))
    write("requests", "handle", ioctl(event, handles[event], 0x80104D01, b"", 16))
    many = struct.pack("<IIIIQ", 0, 0, 2, 0, 2**64 - 1)
    write("requests", "wait_many", ioctl(event, handles[event], 0xC4184D02, many + bytes(32)) +
          words(event, handles[event], b"set"))
    write("requests", "signal_wait", ioctl(event, handles[event], 0xC0484D03, struct.pack(
        "<IIQQQI", 0, 0, handles[mutex], 0, 0, 4) + b"set\n" + bytes(32), 72))
    write("requests", "interrupted", wait(event, handles[event]) + request(INTERRUPT, 0, struct.pack("<Q", 30)))
    take_over = lambda what, data, more=b"": bytes([255, what, len(data)]) + data + more
    forget = header(FORGET, 48, 1 << 32 | 2) + struct.pack("<Q", 1)
    write("requests", "taken_over", create("a") + take_over(0, forget) + request(LOOKUP, ROOT, text("a")))
    write("requests", "taken_over_waits", wait(event, handles[event]) + take_over(0, b"") +
          wait(event, handles[event]) + words(event, handles[event], b"set"))
    write("requests", "in_hand_long", take_over(0, header(BATCH_FORGET, 2**32 - 1) + struct.pack("<II", 2**31, 0)))
    write("requests", "in_hand_forgets", take_over(0, header(BATCH_FORGET, 48) + struct.pack("<II", 2**31, 0)))
    write("requests", "init_long", take_over(2, b"", struct.pack("<Q", 2**32 - 1)) + request(STATFS, ROOT))
    write("requests", "init_other", take_over(1, header(LOOKUP, 104)) + request(STATFS, ROOT))
    # Not whole, each in its way.
    write("requests", "bad_name", request(LOOKUP, ROOT, b"no end") + request(LOOKUP, ROOT, b"") +
          request(LOOKUP, ROOT, text("..")) + request(UNLINK, ROOT, text("/etc/passwd")))
    write("requests", "bad_write", create("a") +
          request(WRITE, NEWEST, struct.pack("<QQIIQII", 0, 0, 1 << 20, 0, 0, 2, 0) + b"x"))
    write("requests", "bad_forgets", request(BATCH_FORGET, 0, struct.pack("<II", 1 << 31, 0)))
    write("requests", "bad_setxattr", setxattr(ROOT, "user.x", b"")[:-4] + request(
        SETXATTR, ROOT, struct.pack("<IIII", 5000, 0, 0, 0) + text("user.x") + b"v"))
    write("requests", "bad_read", request(READDIR, ROOT, struct.pack("<QQIIQII", 0, 0, 0xFFFFFFFF, 0, 0, 0, 0)))
    write("requests", "status", request(GETXATTR, ROOT, struct.pack("<II", 4096, 0) + text("user.mapping.status")))
    write("requests", "bad_ioctl", request(IOCTL, ROOT, struct.pack("<QIIQII", handle, 0, 0xC4184D02, 0, 1 << 31, 8)))
    write("requests", "bad_rename", request(RENAME, ROOT, struct.pack("<Q", 1) + text("one")))
    write("requests", "cuse", request(0, ROOT, bytes(16), wrong=0x18) + request(0, ROOT, wrong=8))
    write("requests", "init_again", request(INIT, 0, struct.pack("<IIII", 7, 40, 0, 0) + bytes(48)))
    write("requests", "header", create("a")[:5] + request(STATFS, ROOT, wrong=1) + request(STATFS, ROOT, wrong=2) +
          request(STATFS, ROOT, wrong=4) + request(38, ROOT))


# --- state: the kind of tree, then changes: table, entry, place, width, value ---

HEADER, HEADER_END, LOG, SLOTS, PLACES, HANDLES, ACCOUNTS, MEMBERS, USERS = range(9)


def change(table, entry, place, width, value):
    """place: in units of the width"""
    return struct.pack("<BHBBQ", table, entry, place, {1: 0, 2: 1, 4: 2, 8: 3}[width],
                       value & (2**64 - 1))


def state():
    for kind, name in enumerate(["by_handle", "cached", "by_place"]):
        write("state", "sound_" + name, bytes([kind]))
    cases = {
        "magic": change(HEADER, 0, 0, 8, 1),
        "version": change(HEADER, 0, 2, 4, 99),
        "high": change(HEADER, 0, 3, 4, 2**32 - 1),
        "high_most": change(HEADER, 0, 3, 4, 2**22),
        "high_none": change(HEADER, 0, 3, 4, 0),
        "next_binding": change(HEADER, 0, 2, 8, 0),
        "binding_in_hand": change(HEADER, 0, 3, 8, 1),
        "attaching": change(HEADER, 0, 10, 4, 1) + change(HEADER, 0, 11, 4, 2**32 - 1),
        "log_long": change(HEADER, 0, 12, 4, 2**32 - 1),
        "log_outside": change(HEADER, 0, 12, 4, 1) + change(LOG, 0, 0, 8, 2**62) +
                       change(LOG, 0, 2, 8, 8),
        "log_wide": change(HEADER, 0, 12, 4, 1) + change(LOG, 0, 2, 8, 2**40),
        "log_of_log": change(HEADER, 0, 12, 4, 2) + change(LOG, 0, 0, 8, 96) +
                      change(LOG, 0, 1, 8, 2**63) + change(LOG, 0, 2, 8, 8) +
                      change(LOG, 1, 2, 8, 8),
        "slot_type": change(SLOTS, 3, 71, 1, 200),
        "slot_wrong_type": change(SLOTS, 2, 71, 1, 5),
        "slot_flags": change(SLOTS, 4, 1, 4, 2**32 - 1),
        "slot_no_generation": change(SLOTS, 2, 0, 4, 0),
        "slot_handle_length": change(SLOTS, 2, 69, 1, 255),
        "slot_place": change(SLOTS, 2, 70, 1, 255),
        "slot_user": change(SLOTS, 2, 52, 2, 60000),
        "slot_account": change(SLOTS, 2, 54, 2, 60000),
        "slot_inherit": change(SLOTS, 9, 107, 1, 255),
        "slot_lookups": change(SLOTS, 2, 1, 8, 0),
        "slot_handles": change(SLOTS, 2, 4, 4, 0),
        "slot_dead": change(SLOTS, 3, 1, 4, 1 | 8),
        "slot_bound": change(SLOTS, 2, 1, 4, 1 | 64) + change(SLOTS, 2, 4, 8, 2**64 - 1),
        "slot_temporary": change(SLOTS, 3, 1, 4, 1 | 16 | 4096),
        "slot_flush_due": change(SLOTS, 2, 1, 4, 1 | 1024 | 4096),
        "root": change(SLOTS, 1, 0, 4, 7) + change(SLOTS, 1, 71, 1, 9),
        "same_inode": change(SLOTS, 2, 3, 8, 0) + change(SLOTS, 3, 3, 8, 0),
        "timer": change(SLOTS, 6, 4, 8, 2**64 - 1) + change(SLOTS, 6, 5, 8, 1),
        "semaphore": change(SLOTS, 4, 12, 4, 2**32 - 1),
        "mutex": change(SLOTS, 5, 4, 8, 12345),
        "handle_node": change(HANDLES, 1, 1, 8, 2**64 - 1),
        "handle_answered": change(HANDLES, 1, 30, 1, 255),
        "handle_poll": change(HANDLES, 1, 2, 8, 7),
        "account_parent": change(ACCOUNTS, 1, 6, 4, 60000),
        "account_cycle": change(ACCOUNTS, 1, 6, 4, 1),
        "account_ending": change(ACCOUNTS, 1, 7, 4, 2),
        "member_pid": change(MEMBERS, 1, 8, 4, 2**32 - 1),
        "member_asleep": change(MEMBERS, 1, 0, 8, 2),
        "member_stranger": change(MEMBERS, 1, 0, 8, 99),
        "users": change(USERS, 2, 0, 4, 5) + change(USERS, 3, 0, 4, 5),
        "uncounted": change(HEADER_END, 10, 250, 8, 2**64 - 1),
    }
    for name, data in cases.items():
        write("state", name, b"\0" + data)
    places = {
        "place_endless": b"".join(change(PLACES, 7, i, 8, 0x6161616161616161) for i in range(1, 33)),
        "place_up": change(PLACES, 6, 1, 8, 0x2F2E2E) + change(PLACES, 7, 1, 8, 0x2F2E2E),
        "place_cycle": change(PLACES, 6, 0, 8, 1 << 32 | 3) + change(PLACES, 7, 0, 8, 1 << 32 | 3),
    }
    for name, data in places.items():
        write("state", name, b"\2" + data)


# --- names: the kind of tree, then operations ---


def counted(value):
    value = value if isinstance(value, bytes) else value.encode()
    return bytes([len(value)]) + value


def named(kind, name, other="", node=0, second=0, flags=b""):
    return bytes([kind, node, second]) + counted(name) + counted(other) + flags


def attribute(kind, name, value=b"", node=1, last=0):
    return bytes([9 + kind, node]) + counted(name) + counted(value) + (bytes([last]) if kind < 2 else b"")


NEXT = bytes([19, 0])


def names():
    tree = named(2, "d") + named(4, "f", node=1) + named(1, "g") + named(3, "s", "../../etc")
    walk = bytes([14, 0, 0, 14, 1, 0, 13, 4, 15, 0, 16, 2, 2])
    for kind, name in enumerate(["handles", "cached", "places"]):
        write("names", name, bytes([kind]) + tree + NEXT + walk + named(0, "d") + named(0, "f", node=1) +
              named(8, "g", "h", second=1, flags=b"\0") + named(6, "f", node=1) + NEXT + walk)
    write("names", "long", b"\0" + named(4, "n" * 255) + named(0, "n" * 255) + b"\2")
    write("names", "hidden", b"\0" + named(1, ".mapping-x") + named(8, ".mapping-x", "x", flags=b"\1") +
          named(1, ".control") + named(6, ".control"))
    write("names", "link", b"\0" + named(1, "a") + named(5, "b", second=1) + named(6, "a") + named(8, "b", "a", flags=b"\2"))
    write("names", "no_names", b"\0" + named(1, "..") + named(1, "a/b") + named(0, ""))
    write("names", "lifetime", b"\0" + named(2, "d") + attribute(0, "user.mapping.lifetime", b"temporary") +
          attribute(1, "user.mapping.lifetime", last=100) + named(4, "f", node=1) + NEXT + attribute(3, "user.mapping.lifetime"))
    write("names", "limit", b"\0" + named(2, "d") + attribute(0, "user.mapping.limit", b"64k") + bytes([15, 1]) +
          named(4, "f", node=1) + attribute(1, "user.mapping.limit", last=64) + NEXT + attribute(0, "user.mapping.limit", b"0"))
    write("names", "attributes", b"\0" + named(4, "f") + attribute(0, "user.x", b"v" * 200) + attribute(2, "") +
          attribute(0, "user.mapping.type", b"event") + attribute(1, "user.mapping.file", last=255) +
          attribute(0, "trusted.mapping", b"\2\0\0\0" + bytes(60)) + attribute(1, "trusted.mapping", last=99))
    acl = struct.pack("<IHHIHHIHHI", 2, 1, 6, 2**32 - 1, 4, 4, 2**32 - 1, 32, 4, 2**32 - 1)
    write("names", "acl", b"\0" + named(4, "f") + attribute(0, "system.posix_acl_access", acl))


# --- words: the type, then lines behind a byte of how ---

EVENT, SEMAPHORE, MUTEX, TIMER, JOB = range(5)
OTHER, WAITS, POLLS, TAKES, WORKER, SEVERAL = 1, 2, 4, 8, 16, 32


def words_of(kind, *lines):
    return bytes([kind]) + b"".join(bytes([how]) + line.encode() + b"\n" for how, line in lines)


def all_words():
    write("words", "event", words_of(EVENT, (WAITS, "set"), (POLLS, "pulse"), (WORKER, "reset"), (TAKES, "set")))
    write("words", "semaphore", words_of(SEMAPHORE, (0, "release"), (WAITS, "release 2"), (WAITS | OTHER, "release 99999999999")))
    write("words", "mutex", words_of(MUTEX, (TAKES, "release"), (TAKES | OTHER, ""), (WAITS | WORKER, "release 1")))
    write("words", "timer", words_of(TIMER, (WAITS, "set 0"), (0, "set 1.5s 250ms"), (WORKER, "set @1700000000.5 1"),
                                     (POLLS, "set 10us 0.001us"), (0, "cancel")))
    write("words", "timer_far", words_of(TIMER, (0, "set 3153600000 3153600000"), (0, "set @9223372035.999999999999 0.0")))
    write("words", "job", words_of(JOB, (0, "add 1"), (WAITS, "kill TERM"), (WORKER, "kill"), (0, "add -1"), (0, "kill 65")))
    write("words", "lines", words_of(EVENT, (SEVERAL, "set\n\n reset\t\r\nset")))
    write("words", "long", words_of(EVENT, (0, "set" + " " * 252), (0, "s" * 300), (0, "a b c d e"), (0, "set\0")))


wire()
handshake()
requests()
state()
names()
all_words()
