"""What the benchmark needs of the machine: Debian's packages, and the programs that are built here."""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from .process import Failed

BENCH = Path(__file__).resolve().parent.parent
ROOT = BENCH.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
# Neither is a member of our workspace; they share a directory beside ours.
BUILT_BESIDE = TARGET / "bench" / "release"

GATEWAY = TARGET / "release" / "gateway"
PINGORA = BUILT_BESIDE / "pingora-bench"
UPSTREAM = BUILT_BESIDE / "upstream"
PACED = BUILT_BESIDE / "paced"

# By the program that shows that it is there.
PACKAGES = {
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "wrk": "wrk",
    "h2load": "nghttp2-client",
    "valgrind": "valgrind",
    # pingora's zlib is built with it.
    "cmake": "cmake",
    "cc": "gcc",
    "c++": "g++",
}


def install(*programs):
    """Installs the Debian packages of the programs that are missing."""
    missing = [PACKAGES[program] for program in programs if not which(program)]
    if not missing:
        return
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise Failed(f"missing, and only root can install them, with apt-get: {' '.join(missing)}")
    print(f"installing {' '.join(missing)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    run = lambda *command: subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    run("apt-get", "update", "-qq")
    run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)


def which(program):
    """Where a program is; root's shells do not always have the sbin directories in their path."""
    return shutil.which(program) or shutil.which(program, path="/usr/local/sbin:/usr/sbin:/sbin")


def build_gateway():
    """Builds what users get."""
    cargo("build", "--release", "--locked", "--quiet", "-p", "gateway", "--manifest-path", ROOT / "Cargo.toml")


def build_tools():
    """Builds the upstream and the paced load generator."""
    build_beside("tools")


def build_pingora():
    """Builds the least proxy that can be made with pingora."""
    build_beside("pingora")


def build_beside(name):
    """Builds a crate that is no member of our workspace."""
    manifest = BENCH / name / "Cargo.toml"
    cargo("build", "--release", "--locked", "--quiet", "--manifest-path", manifest, "--target-dir", TARGET / "bench")


def cargo(*arguments):
    """Runs cargo."""
    print("cargo", *map(str, arguments[:1]), *[str(a) for a in arguments[-3:] if not str(a).startswith("--")], flush=True)
    if subprocess.run(["cargo", *map(str, arguments)]).returncode != 0:
        raise Failed("that does not build")


def versions():
    """What was measured, on what."""
    return {
        "nginx": first_match(r"nginx/(\S+)", which("nginx"), "-v"),
        "haproxy": first_match(r"version (\S+)", which("haproxy"), "-v"),
        "pingora": pingora_version(),
        "wrk": first_match(r"wrk (\S+)", which("wrk"), "-v"),
        "gateway": first_match(r"(.*)", "git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "rustc": first_match(r"rustc (\S+)", "rustc", "--version"),
        "kernel": platform.release(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
    }


def first_match(pattern, *command):
    """What a program says of its version, wherever it says it."""
    if command[0] is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(pattern, done.stdout + done.stderr)
    return found and found.group(1)


def pingora_version():
    """The version that is locked."""
    lock = (BENCH / "pingora" / "Cargo.lock").read_text()
    return re.search(r'name = "pingora-proxy"\nversion = "(.*)"', lock).group(1)


def cpu_model():
    """The processor's name."""
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found.group(1) if found else platform.machine()
