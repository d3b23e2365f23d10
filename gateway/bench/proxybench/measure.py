"""Interleaved rounds: in each, every proxy is measured once in every cell, so that what else the machine does meets them all."""

import statistics
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Optional

from . import proxies
from .process import Failed

WARM_UP_SECONDS = 1


@dataclass
class Sample:
    """One proxy in one round of one cell."""

    requests_per_s: float
    cpu_us_per_request: float
    p50_ms: Optional[float]
    p99_ms: Optional[float]
    rss_mib: float
    errors: int


@dataclass
class Row:
    """One proxy in one cell, over all rounds: medians, and the sum of errors. Ratios are taken within a round, then their median."""

    scenario: str
    workers: int
    connections: int
    proxy: str
    rounds: int
    requests_per_s: Optional[float]
    cpu_us_per_request: Optional[float]
    ratio_to_nginx: Optional[float]
    p50_ms: Optional[float]
    p99_ms: Optional[float]
    p99_ratio_to_nginx: Optional[float]
    rss_mib: Optional[float]
    errors: int
    failure: Optional[str] = None

    as_json = asdict


@dataclass(frozen=True)
class Pinning:
    """Which processors the proxy and the load have. With one worker each has its own; with more, all share all."""

    proxy: Optional[frozenset]
    load: Optional[frozenset]

    @classmethod
    def of(cls, workers, cores):
        """One worker on the first core, what loads it on the second."""
        if workers == 1 and cores > 1:
            return cls(frozenset({0}), frozenset({1}))
        return cls(None, None)


def scenario(scenario, workers, settings):
    """All rows of a scenario with so many workers. Yields a line of progress for each round, then the rows."""
    pinning = Pinning.of(workers, settings.cores)
    names = [name for name in scenario.proxies if name in settings.proxies]
    cells = [n for n in scenario.connections if n in settings.connections]
    samples = {(n, name): [] for n in cells for name in names}
    failures = {}
    with tempfile.TemporaryDirectory(prefix="proxybench-") as directory:
        directory = Path(directory)
        upstream, endpoints = proxies.start_upstream(directory, pinning.load, threads=workers)
        place = proxies.Place(directory, endpoints, workers, pinning.proxy)
        running = {}
        try:
            for name in names:
                try:
                    running[name] = proxies.start(name, place)
                except Failed as why:
                    failures.update({(n, name): str(why) for n in cells})
            for number in range(settings.rounds):
                for connections in cells:
                    # Another one is first each time.
                    turn = number % len(names)
                    for name in names[turn:] + names[:turn]:
                        one = None
                        try:
                            if name in running:
                                one = sample(scenario, running[name], connections, pinning, settings, directory)
                        except Failed as why:
                            failures[connections, name] = str(why)
                        # Also when there is none: rounds are compared by their place.
                        samples[connections, name].append(one)
                    settings.progress(scenario, workers, connections, number + 1)
        finally:
            for proxy in running.values():
                proxy.process.stop()
            upstream.stop()
    return [row(scenario, workers, n, name, samples, failures) for n in cells for name in names]


def sample(scenario, proxy, connections, pinning, settings, directory):
    """Warms up, then measures: what the proxy's processes cost between the load's begin and its end."""
    scenario.generate(proxy, connections, WARM_UP_SECONDS, pinning.load, directory)
    before = proxy.process.cpu_seconds()
    load = scenario.generate(proxy, connections, settings.seconds, pinning.load, directory)
    cpu = proxy.process.cpu_seconds() - before
    if load.requests <= 0:
        raise Failed(f"no request succeeded, {load.errors} errors")
    return Sample(
        requests_per_s=load.requests / load.seconds,
        cpu_us_per_request=cpu / load.requests * 1e6,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        rss_mib=proxy.process.rss_bytes() / (1 << 20),
        errors=load.errors,
    )


def row(scenario, workers, connections, name, samples, failures):
    """What the rounds of a cell come to."""
    mine = samples[connections, name]
    good = [one for one in mine if one]
    nginx = samples.get((connections, proxies.NGINX), [])
    pairs = [(one, other) for one, other in zip(mine, nginx) if one and other]
    median = lambda field: middle(getattr(one, field) for one in good)
    ratio = lambda field: middle(
        getattr(one, field) / getattr(other, field) for one, other in pairs if getattr(one, field) and getattr(other, field)
    )
    return Row(
        scenario=scenario.name,
        workers=workers,
        connections=connections,
        proxy=name,
        rounds=len(good),
        requests_per_s=median("requests_per_s"),
        cpu_us_per_request=median("cpu_us_per_request"),
        ratio_to_nginx=ratio("cpu_us_per_request"),
        p50_ms=median("p50_ms"),
        p99_ms=median("p99_ms"),
        p99_ratio_to_nginx=ratio("p99_ms"),
        # Of the first round, in which it has not yet seen more connections than these.
        rss_mib=good[0].rss_mib if good else None,
        errors=sum(one.errors for one in good),
        failure=failures.get((connections, name)),
    )


def middle(values):
    """The median, of which there is none of nothing."""
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None
