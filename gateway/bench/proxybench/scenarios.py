"""What is measured: each scenario's load, at the numbers of connections that it is for, and the proxies that take part."""

from dataclasses import dataclass
from typing import Callable, Optional

from . import load, proxies

# At which the issue wants figures, and at which it wants them to be good.
CONNECTIONS = (1, 50, 200, 1000)
JUDGED = (50, 200)
# Requests of an HTTP/2 connection that are under way at once.
STREAMS = 10
PACED_RATE = 8000
AGAINST_NGINX = (proxies.NGINX, proxies.PLAIN, proxies.FULL)
KIB = 1 << 10
MIB = 1 << 20


@dataclass(frozen=True)
class Scenario:
    """One kind of work. `generate` is called with the proxy, connections, seconds, the load generator's processors and a directory."""

    name: str
    about: str
    proxies: tuple
    connections: tuple
    generate: Callable
    # Of the answer, if it is so large that those cut off at the end count.
    body_bytes: Optional[int] = None


def http1(proxy, connections, seconds, cpus, directory):
    """The 270 bytes."""
    return load.wrk(proxy.port, "/", connections, seconds, cpus)


def http2(proxy, connections, seconds, cpus, directory):
    """The 270 bytes, to HTTP/2 clients."""
    return load.h2load(proxy.h2_port, "/", connections, STREAMS, seconds, cpus, directory / "h2load.log")


def body(size):
    """Answers of this size."""

    def generate(proxy, connections, seconds, cpus, directory):
        return load.wrk(proxy.port, f"/bytes/{size}", connections, seconds, cpus, size)

    return generate


def upload(size):
    """Requests of this size."""

    def generate(proxy, connections, seconds, cpus, directory):
        script = directory / f"upload-{size}.lua"
        script.write_text(f'wrk.method = "PUT"\nwrk.body = string.rep("x", {size})\n')
        # A path that nginx streams; the answer has one byte.
        return load.wrk(proxy.port, "/bytes/1", connections, seconds, cpus, script=script)

    return generate


def paced(proxy, connections, seconds, cpus, directory):
    """The 270 bytes at a fixed rate."""
    return load.paced(proxy.port, PACED_RATE, connections, seconds, cpus)


ALL = (
    Scenario("plain", "270 bytes, HTTP/1.1", proxies.ALL, CONNECTIONS, http1),
    Scenario("paced", f"270 bytes, HTTP/1.1, {PACED_RATE} requests/s", proxies.ALL, (50,), paced),
    Scenario("h2", f"270 bytes, HTTP/2 clients, {STREAMS} streams each", AGAINST_NGINX, JUDGED, http2),
    Scenario("body-100k", "100 KiB streamed down", AGAINST_NGINX, JUDGED, body(100 * KIB), 100 * KIB),
    Scenario("body-10m", "10 MiB streamed down", AGAINST_NGINX, JUDGED, body(10 * MIB), 10 * MIB),
    Scenario("upload-100k", "100 KiB streamed up", AGAINST_NGINX, JUDGED, upload(100 * KIB)),
)
NAMES = tuple(scenario.name for scenario in ALL)
