"""share.py FILE: see share.c."""
import mmap
import struct
import sys

file = open(sys.argv[1], "r+b")
view = mmap.mmap(file.fileno(), 0)
print("ready", flush=True)
for line in sys.stdin:
    word, *numbers = line.split()
    numbers = [int(n) for n in numbers]
    if word == "put":
        struct.pack_into("<Q", view, numbers[0], numbers[1])
        answer = "ok"
    elif word == "get":
        answer = struct.unpack_from("<Q", view, numbers[0])[0]
    elif word == "close":
        file.close()
        answer = "ok"
    else:
        answer = "what is " + word
    print(answer, flush=True)
