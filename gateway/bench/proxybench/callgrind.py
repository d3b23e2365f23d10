"""What a request costs in user instructions and heap calls, counted by callgrind.

A program is run twice under callgrind, each time with another number of requests over one kept-alive connection; the difference
of the counts, divided by the difference of the numbers, is one request's. So what starting and stopping costs does not matter.
One connection, one request at a time: each request pays for its own wake-ups, which under load several share. The same program
gives the same counts within a per mille, on a busy machine, too.
"""

import re
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from . import machine, proxies
from .memory import Kept
from .process import Failed

FEWER, MORE = 500, 2500
# What gives out memory: libc's, and mimalloc's, which our binaries have instead. Giving back is not counted.
ALLOCATES = re.compile(r"^(malloc|calloc|realloc|reallocarray|memalign|posix_memalign|aligned_alloc|valloc|mi_\w*alloc\w*)('\d+)?$")
# Allocators call each other.
ALLOCATOR = re.compile(r"^_?mi_|^_int_|^_mid_|^__libc_|^(malloc|calloc|realloc|memalign|posix_memalign|aligned_alloc)")


@dataclass
class Cost:
    """One request's."""

    instructions: float
    heap_calls: float
    # Each function's own, without what it calls; most first.
    by_function: list


@dataclass
class Counts:
    """One run's."""

    instructions: int
    heap_calls: int
    by_function: Counter = field(default_factory=Counter, compare=False)


def cost(name, layers=None):
    """What one request costs this proxy."""
    fewer, more = (count(name, requests, layers) for requests in (FEWER, MORE))
    requests = MORE - FEWER
    return Cost(
        instructions=(more.instructions - fewer.instructions) / requests,
        heap_calls=(more.heap_calls - fewer.heap_calls) / requests,
        by_function=[(name, count / requests) for name, count in (more.by_function - fewer.by_function).most_common()],
    )


def count(name, requests, layers=None):
    """Runs the proxy under callgrind for so many requests."""
    with tempfile.TemporaryDirectory(prefix="proxybench-") as directory:
        directory = Path(directory)
        out = directory / "callgrind.out"
        valgrind = [machine.which("valgrind"), "--tool=callgrind", "--compress-strings=no", "--compress-pos=no"]
        upstream, endpoints = proxies.start_upstream(directory)
        proxy = None
        try:
            proxy = proxies.start(
                name,
                proxies.Place(directory, endpoints, 1),
                prefix=[*valgrind, f"--callgrind-out-file={out}"],
                layers=layers,
                single_process=True,
            )
            with Kept(proxy.port) as connection:
                for _ in range(requests):
                    connection.ask()
        finally:
            if proxy:
                # The counts are written when it ends.
                proxy.process.stop(within=60, nudge=proxy.port)
            upstream.stop()
        with open(out, encoding="utf-8", errors="replace") as lines:
            counts = read(lines)
        if counts.instructions == 0:
            raise Failed(f"{name} did not end by itself under callgrind, so that nothing was counted")
        return counts


def read(lines):
    """The instructions, and the calls from outside an allocator into it, of a file that callgrind has written."""
    instructions, heap_calls = 0, 0
    function, called, is_call = "", "", False
    by_function = Counter()
    for line in lines:
        if line.startswith("fn="):
            function = line[3:].strip()
        elif line.startswith("cfn="):
            called = line[4:].strip()
        elif line.startswith("calls="):
            is_call = True
            if ALLOCATES.match(called) and not ALLOCATOR.match(function):
                heap_calls += int(line[6:].split()[0])
        elif line.startswith(("summary:", "totals:")):
            instructions = max(instructions, int(line.split()[1]))
        elif line[:1].isdigit():
            # The line after a call says what that cost, which is not the caller's own.
            if not is_call:
                by_function[function] += int((line.split() + ["0"])[1])
            is_call = False
    return Counts(instructions, heap_calls, by_function)
