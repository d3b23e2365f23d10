"""The load generators, and what they say."""

import json
import os
import re
import subprocess
from dataclasses import dataclass

from . import machine
from .process import Failed

UNITS = {"us": 1e-3, "ms": 1, "s": 1e3, "m": 60e3, "h": 3600e3}
SIZES = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}


@dataclass
class Load:
    """What came of a load: requests answered, the time that it took, latencies, errors of every kind."""

    requests: float
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int


def run(command, cpus, within):
    """Runs a load generator on these processors."""
    pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus is not None else None
    command = [str(part) for part in command]
    try:
        done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pin, timeout=within)
    except subprocess.TimeoutExpired:
        raise Failed(f"{command[0]} takes longer than {within} s") from None
    if done.returncode != 0:
        raise Failed(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def wrk(port, path, connections, seconds, cpus, body_bytes=None, script=None):
    """HTTP/1.1, keep-alive, as fast as it goes. For bodies of `body_bytes` what counts is the bytes, since those of answers that
    were cut off at the end have been paid for, too."""
    threads = 1 if cpus is not None or connections == 1 else 2
    url = f"http://127.0.0.1:{port}{path}"
    command = [machine.which("wrk"), f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "--latency"]
    command += ["-s", script] if script else []
    said = run([*command, url], cpus, seconds + 30)
    found = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m|h), ([\d.]+)([KMGT]?B) read", said)
    requests, took, unit, read, size = found.groups()
    took = float(took) * UNITS[unit] / 1e3
    requests = float(read) * SIZES[size] / body_bytes if body_bytes else int(requests)
    sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    errors = sum(map(int, sockets.groups())) if sockets else 0
    errors += int(bad.group(1)) if bad else 0
    return Load(requests, took, wrk_latency(said, 50), wrk_latency(said, 99), errors)


def wrk_latency(said, percentile):
    """A percentile of wrk's table, in milliseconds."""
    found = re.search(rf"^\s+{percentile}%\s+([\d.]+)(us|ms|s|m|h)$", said, re.M)
    # Zero is what it says when no answer was complete.
    return (float(found.group(1)) * UNITS[found.group(2)] or None) if found else None


def h2load(port, path, connections, streams, seconds, cpus, log):
    """HTTP/2 with prior knowledge, as fast as it goes. Its own output has no percentiles, its log has every latency."""
    log.unlink(missing_ok=True)
    threads = 1 if cpus is not None or connections == 1 else 2
    command = [machine.which("h2load"), "-t", threads, "-c", connections, "-m", streams, "-D", seconds]
    said = run([*command, "--log-file", log, f"http://127.0.0.1:{port}{path}"], cpus, seconds + 30)
    found = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", said)
    succeeded, failed, errored, late = map(int, found.groups())
    took = re.search(r"finished in ([\d.]+)(us|ms|s|m|h)\b", said)
    took = float(took.group(1)) * UNITS[took.group(2)] / 1e3 if took else seconds
    codes = re.search(r"status codes: (\d+) 2xx", said)
    good = int(codes.group(1)) if codes else succeeded
    with open(log, encoding="ascii") as lines:
        latencies = sorted(int(fields[2]) for fields in map(str.split, lines) if len(fields) == 3)
    log.unlink()
    at = lambda share: latencies[int(share * (len(latencies) - 1))] / 1e3 if latencies else None
    # `failed` has those that errored or came late in it, too.
    return Load(good, took, at(0.5), at(0.99), max(failed, errored + late) + succeeded - min(good, succeeded))


def paced(port, rate, connections, seconds, cpus):
    """A fixed rate; latencies from when a request should have been sent."""
    command = [machine.PACED, f"127.0.0.1:{port}", rate, connections, 0.5, seconds]
    said = json.loads(run(command, cpus, seconds + 30))
    # With what it sent to warm up: the proxy's time has that in it.
    return Load((seconds + 0.5) * rate - said["failed"], seconds + 0.5, said["p50_ms"], said["p99_ms"], said["failed"])
