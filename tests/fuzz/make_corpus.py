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


wire()
handshake()
