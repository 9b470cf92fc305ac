#!/usr/bin/env python3
"""What Pi.verify() costs beyond urx_pi_verify(): both in turn, in one process, the C call from C with C's clock.
Times are the thread's own, so that other load on the machine counts little.

    LIBURING_EXT_LIBRARY=target/release/liburing_ext.so PYTHONPATH=python python3 python/bench.py
"""

from __future__ import annotations

import ctypes
import os
import statistics
import subprocess
import tempfile
import time
from typing import Any

from liburing_ext import Format, Guard, Pi, Tags, allocate
from liburing_ext._library import lib

CLOCK = r"""
#include <stddef.h>
#include <time.h>

typedef int verify_fn(const void *, const void *, const void *, const void *, size_t, void *);

/* Seconds of this thread that one call takes; negative if it fails. */
double timed(verify_fn *verify, const void *pi, const void *tags, const void *data, const void *meta, size_t blocks)
{
	struct timespec from, to;
	int ret;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	ret = verify(pi, tags, data, meta, blocks, NULL);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	return ret ? -1 : (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}
"""


def clock(directory: str) -> Any:
    """timed(), compiled."""
    source, made = os.path.join(directory, "clock.c"), os.path.join(directory, "clock.so")
    with open(source, "w") as file:
        file.write(CLOCK)
    subprocess.run(["cc", "-O2", "-shared", "-fPIC", source, "-o", made], check=True)
    timed = ctypes.CDLL(made).timed
    timed.restype, timed.argtypes = ctypes.c_double, [ctypes.c_void_p] * 5 + [ctypes.c_size_t]
    return timed


def measure(timed: Any, format: Format, size: int, rounds: int) -> None:
    """Prints a line."""
    one, tags, blocks = Pi(format), Tags(ref=1), size // format.interval
    data, meta = allocate(blocks * format.interval), allocate(blocks * format.meta_size)
    one.generate(data, meta, tags)
    where = [ctypes.addressof(ctypes.c_char.from_buffer(memory)) for memory in (data, meta)]
    tags_c = tags.to_c(format.checks)
    function = ctypes.cast(lib.urx_pi_verify, ctypes.c_void_p)
    in_c, in_python = [], []
    for turn in range(2 * rounds):
        if (turn ^ turn >> 1) & 1:  # C, Python, Python, C: neither is always second
            took = timed(function, ctypes.addressof(one._c), ctypes.addressof(tags_c), *where, blocks)
            assert took >= 0
            in_c.append(took)
        else:
            start = time.thread_time()
            one.verify(data, meta, tags)
            in_python.append(time.thread_time() - start)
    pairs = statistics.median(python / c for python, c in zip(in_python, in_c))
    print(
        f"{format.guard.name:7} {format.interval:5} {size >> 10:6} KiB  C {size / min(in_c) / 1e9:6.2f} GB/s  "
        f"Python {size / min(in_python) / 1e9:6.2f} GB/s  time, Python to C: median {pairs:.3f}, "
        f"best {min(in_python) / min(in_c):.3f}"
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        timed = clock(directory)
        for format in (Format(512), Format(4096), Format(4096, 16, Guard.CRC64)):
            measure(timed, format, 64 << 20, 61)
        measure(timed, Format(4096), 4096, 2001)


if __name__ == "__main__":
    main()
