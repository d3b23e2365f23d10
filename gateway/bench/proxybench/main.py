"""The command."""

import argparse
import json
import os
import re
import sys
from dataclasses import asdict, dataclass

from . import instructions, machine, measure, memory, proxies, report, requirements, scenarios
from .process import Failed

EXTRA = ("idle", "instructions")


@dataclass
class Settings:
    """How much is measured."""

    rounds: int
    seconds: int
    workers: tuple
    connections: tuple
    proxies: tuple
    cores: int

    def say(self, line):
        """Progress, which is no part of the output."""
        print(line, file=sys.stderr, flush=True)

    def progress(self, scenario, workers, connections, number):
        """A cell's round is done."""
        self.say(f"{scenario.name}: {workers} workers, {connections} connections, round {number} of {self.rounds}")


def main():
    """The exit status: 0, 1 when a requirement fails or nothing can be measured, 2 for a wrong command line."""
    arguments = parse()
    try:
        return measured(arguments)
    except Failed as why:
        print(f"error: {why}", file=sys.stderr)
        return 1


def measured(arguments):
    """Measures what was asked for, prints it, and writes it to `target/proxy.json`."""
    settings = Settings(
        rounds=arguments.rounds or (3 if arguments.quick else 5),
        seconds=arguments.seconds or (1 if arguments.quick else 3),
        workers=arguments.workers,
        connections=arguments.connections or (scenarios.JUDGED if arguments.quick else scenarios.CONNECTIONS),
        proxies=arguments.proxies,
        cores=os.cpu_count() or 1,
    )
    # With --json the output is that, and nothing else.
    with Redirected(sys.stderr):
        machine.install(*machine.PACKAGES)
        if not arguments.no_build:
            machine.build_gateway()
            machine.build_tools()
            machine.build_pingora()
    found = {
        "versions": machine.versions(),
        "settings": asdict(settings),
        "rows": rows(arguments.only, settings),
    }
    if "idle" in arguments.only:
        found["idle_connections"] = memory.idle_connections(settings.proxies, settings)
    if arguments.soak:
        found["soak"] = memory.soak(arguments.soak, settings)
    if "instructions" in arguments.only:
        found["instructions"] = instructions.rows(True, proxies.NGINX in settings.proxies, settings.say)
    found["requirements"] = [one.as_json() for one in requirements.of(found)]
    text = json.dumps(found, indent=2)
    machine.TARGET.mkdir(exist_ok=True)
    (machine.TARGET / "proxy.json").write_text(text + "\n")
    if arguments.json:
        print(text)
    else:
        report.print_report(found)
        print(f"\nwritten to {machine.TARGET / 'proxy.json'}")
    return checked(found) if arguments.check else 0


def rows(only, settings):
    """All rows of the scenarios asked for."""
    found = []
    for scenario in scenarios.ALL:
        if scenario.name in only:
            for workers in settings.workers:
                found += [row.as_json() for row in measure.scenario(scenario, workers, settings)]
    return found


def checked(found):
    """Names each requirement that does not hold."""
    broken = [one for one in found["requirements"] if not one["holds"]]
    for one in broken:
        print(f"FAILS: {one['text']}: {one['measured']}, allowed {one['most']}", file=sys.stderr)
    if not found["requirements"]:
        print("FAILS: nothing of what is required was measured", file=sys.stderr)
    return 1 if broken or not found["requirements"] else 0


def parse():
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="gateway/bench/run",
        description="Measures the gateway beside nginx, HAProxy and a minimal pingora proxy; writes target/proxy.json.",
    )
    parser.add_argument("--quick", action="store_true", help="3 rounds of 1 s, only 50 and 200 connections")
    parser.add_argument("--json", action="store_true", help="print the JSON instead of tables")
    parser.add_argument("--check", action="store_true", help="exit 1 when a requirement of what was measured does not hold")
    parser.add_argument("--soak", type=duration, metavar="TIME", help="load the gateway for so long (10m), and see whether it grows")
    everything = (*scenarios.NAMES, *EXTRA)
    parser.add_argument("--only", type=names(everything), default=everything, metavar="LIST", help=f"of {','.join(everything)}")
    parser.add_argument("--proxies", type=names(proxies.ALL), default=proxies.ALL, metavar="LIST", help=f"of {','.join(proxies.ALL)}")
    parser.add_argument("--workers", type=numbers, default=(1, 2), metavar="LIST", help="1,2")
    parser.add_argument("--connections", type=numbers, metavar="LIST", help=f"of {','.join(map(str, scenarios.CONNECTIONS))}")
    parser.add_argument("--rounds", type=int, help="how often each cell is measured (5)")
    parser.add_argument("--seconds", type=int, help="how long each time (3)")
    parser.add_argument("--no-build", action="store_true", help="measure what has been built before")
    return parser.parse_args()


def names(known):
    """A list of some of these."""

    def parse_names(text):
        given = tuple(part.strip() for part in text.split(",") if part.strip())
        unknown = [name for name in given if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: known are {', '.join(known)}")
        return given

    return parse_names


def numbers(text):
    """A list of numbers."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text}: numbers with commas between them are wanted") from None


def duration(text):
    """`90s` or `10m`."""
    found = re.fullmatch(r"(\d+)(s|m)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text}: 90s or 10m, for example")
    return int(found.group(1)) * {"s": 1, "m": 60}[found.group(2)]


class Redirected:
    """What is printed goes elsewhere, that of programs too."""

    def __init__(self, to):
        self.to = to

    def __enter__(self):
        sys.stdout.flush()
        self.kept = os.dup(1)
        os.dup2(self.to.fileno(), 1)

    def __exit__(self, *_):
        sys.stdout.flush()
        os.dup2(self.kept, 1)
        os.close(self.kept)
