"""The figures that hardly vary, for CI: user instructions and heap calls of a request."""

import argparse
import json
from pathlib import Path

from . import callgrind, gateway_config, machine, proxies
from .process import Failed

MOST_INSTRUCTIONS = 42_000
MOST_HEAP_CALLS = 12


def rows(with_layers, with_nginx, say, functions=0):
    """nginx beside ours, with the stack off and on; on demand ours with each layer alone."""
    kinds = [(proxies.NGINX, None)] if with_nginx else []
    kinds += [(proxies.PLAIN, None), (proxies.FULL, None)]
    if with_layers:
        kinds += [(f"{proxies.PLAIN} + {layer}", (layer,)) for layer in gateway_config.ALL]
    found = []
    for name, layers in kinds:
        cost = callgrind.cost(name.split(" ")[0], layers)
        found.append({"proxy": name, "instructions": round(cost.instructions), "heap_calls": round(cost.heap_calls, 1)})
        say(f"{name:34} {cost.instructions:9,.0f} instructions  {cost.heap_calls:6.1f} heap calls")
        for function, count in cost.by_function[:functions]:
            say(f"  {count:9,.0f}  {function[:140]}")
    return found


def main():
    """Exits non-zero when the gateway costs more than it may."""
    parser = argparse.ArgumentParser(description="User instructions and heap calls of a request, counted by callgrind.")
    parser.add_argument("--layers", action="store_true", help="each layer of the gateway's stack alone, too")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="the N functions that take most, by what they take themselves")
    parser.add_argument("--no-nginx", action="store_true", help="do not count nginx beside it")
    parser.add_argument("--no-build", action="store_true", help="measure what has been built before")
    parser.add_argument("--json", metavar="FILE", help="write the figures there, too")
    parser.add_argument("--at-most", type=int, default=MOST_INSTRUCTIONS, metavar="N", help="instructions allowed (%(default)s, which is the goal)")
    arguments = parser.parse_args()
    try:
        return counted(arguments)
    except (Failed, OSError) as why:
        print(f"error: {why}")
        return 1


def counted(arguments):
    """Counts, and holds the counts against the limits."""
    with_nginx = not arguments.no_nginx
    machine.install("valgrind", *(["nginx"] if with_nginx else []))
    if not arguments.no_build:
        machine.build_gateway()
        machine.build_tools()
    found = rows(arguments.layers, with_nginx, say=lambda line: print(line, flush=True), functions=arguments.functions)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    broken = over(found, arguments.at_most)
    for line in broken:
        print(f"FAILS: {line}")
    return 1 if broken else 0


def over(found, most_instructions=MOST_INSTRUCTIONS):
    """What ours costs more than it may."""
    lines = []
    for row in found:
        if row["proxy"] not in (proxies.PLAIN, proxies.FULL):
            continue
        for key, most in (("instructions", most_instructions), ("heap_calls", MOST_HEAP_CALLS)):
            if row[key] > most:
                lines.append(f"{row['proxy']}: {row[key]:,} {key.replace('_', ' ')} per request, allowed are {most:,}")
    return lines
