"""Memory: what an idle connection costs, and whether it grows while nothing changes."""

import socket
import statistics
import tempfile
import time
from pathlib import Path

from . import load, proxies
from .measure import Pinning
from .process import Failed

IDLE_CONNECTIONS = 2000
SOAK_CONNECTIONS = 200
# The first of them are not counted: pools and allocators fill up.
SOAK_SLICE_SECONDS = 10
SOAK_WARM_UP_SLICES = 2
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"


def idle_connections(names, settings):
    """How much memory each proxy takes for one of many connections, each of which has asked once and is kept."""
    found = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="proxybench-") as directory:
            directory = Path(directory)
            upstream, endpoints = proxies.start_upstream(directory)
            proxy = None
            try:
                proxy = proxies.start(name, proxies.Place(directory, endpoints, 1))
                each, failure = idle(proxy), None
            except (Failed, OSError) as why:
                each, failure = None, str(why)
            finally:
                if proxy:
                    proxy.process.stop()
                upstream.stop()
        found.append({"proxy": name, "connections": IDLE_CONNECTIONS, "kib_per_connection": each, "failure": failure})
    return found


def idle(proxy):
    """KiB for each, beyond what a proxy that has been asked some requests takes anyway."""
    with Kept(proxy.port) as first:
        for _ in range(100):
            first.ask()
        before = proxy.process.rss_bytes()
        others = []
        try:
            for _ in range(IDLE_CONNECTIONS):
                others.append(Kept(proxy.port))
                others[-1].ask()
            return (proxy.process.rss_bytes() - before) / IDLE_CONNECTIONS / 1024
        finally:
            for one in others:
                one.close()


class Kept:
    """A connection that is kept."""

    def __init__(self, port):
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self):
        """One request, and its whole answer."""
        self.stream.sendall(REQUEST)
        received = b""
        while b"\r\n\r\n" not in received:
            received += self.receive()
        head, _, body = received.partition(b"\r\n\r\n")
        status = head.split(b" ", 2)[1]
        if status != b"200":
            raise ConnectionError(f"answered with {status.decode()}")
        left = content_length(head) - len(body)
        while left > 0:
            left -= len(self.receive())

    def receive(self):
        """What has arrived, which must be something."""
        received = self.stream.recv(65536)
        if not received:
            raise ConnectionError("closed in the middle of an answer")
        return received

    def close(self):
        """Closes it."""
        self.stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def content_length(head):
    """The length that a head says of its body."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def soak(seconds, settings):
    """Loads the gateway with its whole stack for so long; its memory after warming up, and at the end."""
    slices = max(int(seconds) // SOAK_SLICE_SECONDS, SOAK_WARM_UP_SLICES + 2)
    pinning = Pinning.of(1, settings.cores)
    resident, errors, requests = [], 0, 0
    with tempfile.TemporaryDirectory(prefix="proxybench-") as directory:
        directory = Path(directory)
        upstream, endpoints = proxies.start_upstream(directory, pinning.load)
        proxy = None
        try:
            proxy = proxies.start(proxies.FULL, proxies.Place(directory, endpoints, 1, pinning.proxy))
            started = time.monotonic()
            for number in range(slices):
                done = load.wrk(proxy.port, "/", SOAK_CONNECTIONS, SOAK_SLICE_SECONDS, pinning.load)
                errors += done.errors
                requests += int(done.requests)
                # Connections of the slice are gone, and what they held may be kept: a level, not a growth.
                resident.append(proxy.process.rss_bytes() / (1 << 20))
                settings.say(f"soak: {time.monotonic() - started:.0f} s, {resident[-1]:.1f} MiB")
        finally:
            if proxy:
                proxy.process.stop()
            upstream.stop()
    counted = resident[SOAK_WARM_UP_SLICES:]
    part = max(len(counted) // 4, 1)
    return {
        "proxy": proxies.FULL,
        "seconds": slices * SOAK_SLICE_SECONDS,
        "requests": requests,
        "start_mib": statistics.median(counted[:part]),
        "end_mib": statistics.median(counted[-part:]),
        "errors": errors,
    }
