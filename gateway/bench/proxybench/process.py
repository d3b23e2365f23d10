"""Programs that are started, watched and stopped, and what they have cost by /proc."""

import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class Process:
    """A running program with its children. Its output goes to a file, which is shown if it does not come up."""

    def __init__(self, name, command, directory, cpus=None, environment=None):
        self.name = name
        self.log = Path(directory) / f"{name}.log"

        def prepare():
            _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
            if cpus is not None:
                os.sched_setaffinity(0, cpus)

        with open(self.log, "wb") as log:
            self.child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=prepare,
                env={**os.environ, **(environment or {})},
            )

    def wait_until_listening(self, port, within=30):
        """Polls until the port takes connections."""
        deadline = time.monotonic() + within
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if self.child.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    raise Failed(f"{self.name} does not listen on {port}; it says:\n{self.log.read_text()}") from None
                time.sleep(0.05)

    def pids(self):
        """Of the program and of everything below it."""
        parents = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                fields = stat(entry.name)
                if fields:
                    parents.setdefault(int(fields[1]), []).append(int(entry.name))
        found = [self.child.pid]
        for pid in found:
            found.extend(parents.get(pid, []))
        return found

    def cpu_seconds(self):
        """User and system time of all its threads and children, so far."""
        ticks = 0
        for pid in self.pids():
            fields = stat(pid)
            if fields:
                # utime, stime, and those of children that have ended.
                ticks += sum(int(field) for field in fields[11:15])
        return ticks / TICKS

    def rss_bytes(self):
        """Resident memory of all its processes. What nginx's share is counted for each."""
        pages = 0
        for pid in self.pids():
            try:
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except (OSError, IndexError):
                continue
        return pages * PAGE

    def stop(self, within=15, nudge=None):
        """Asks it to end, and sees that it does. With `nudge`, a port of its own, it is woken by connections meanwhile: nginx in a single
        process may have been told just before it goes to sleep, and then sleeps on."""
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + within
            while not self.ended(0.5):
                if time.monotonic() > deadline:
                    self.kill()
                    break
                if nudge:
                    try:
                        socket.create_connection(("127.0.0.1", nudge), timeout=1).close()
                    except OSError:
                        pass
        return self.child.returncode

    def ended(self, within):
        """Whether it has, by then."""
        try:
            self.child.wait(within)
            return True
        except subprocess.TimeoutExpired:
            return False

    def kill(self):
        """Ends it and its children, whatever they do."""
        for pid in reversed(self.pids()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.child.wait()


class Failed(Exception):
    """What cannot be measured, and why."""


def stat(pid):
    """The fields of /proc/PID/stat behind the program's name, which may hold anything; `None` if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def free_ports(count):
    """Ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
