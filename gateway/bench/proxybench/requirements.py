"""What issue 5 requires, held against what was measured."""

from dataclasses import asdict, dataclass
from typing import Optional

from . import instructions, proxies, scenarios

# Of nginx's CPU time per request, by the number of workers.
CPU_RATIO = {1: 1.0, 2: 1.1}
P99_RATIO = 1.2
IDLE_KIB = 20
# Of a soak, beside which nothing is growth: the allocator's levels wander by as much.
GROWTH_MIB = 1.0
CPU_SCENARIOS = ("plain", "h2", "body-100k", "body-10m")


@dataclass
class Requirement:
    """One of them: the most that is allowed, and what was measured, or why nothing was."""

    text: str
    most: float
    measured: Optional[float]

    @property
    def holds(self):
        """Whether it does; what was not measured does not."""
        return self.measured is not None and self.measured <= self.most

    def as_json(self):
        """With the verdict."""
        return {**asdict(self), "holds": self.holds}


def of(report):
    """The requirements on everything that the report covers."""
    found = []
    for row in report["rows"]:
        if row["proxy"] != proxies.FULL:
            continue
        where = f"{row['scenario']}, {row['workers']} worker{'s' * (row['workers'] > 1)}, {row['connections']} connections"
        if row["scenario"] in CPU_SCENARIOS and row["connections"] in scenarios.JUDGED and row["workers"] in CPU_RATIO:
            most = CPU_RATIO[row["workers"]]
            found.append(Requirement(f"CPU time per request / nginx's: {where}", most, row["ratio_to_nginx"]))
        if row["scenario"] == "paced":
            found.append(Requirement(f"p99 / nginx's: {where}", P99_RATIO, row["p99_ratio_to_nginx"]))
    for row in report["rows"]:
        if row["proxy"] in (proxies.PLAIN, proxies.FULL):
            where = f"{row['scenario']}, {row['workers']} workers, {row['connections']} connections"
            if row["errors"] or row["failure"]:
                found.append(Requirement(f"errors of {row['proxy']}: {where}", 0, row["errors"] if not row["failure"] else None))
    for row in report.get("idle_connections", []):
        if row["proxy"] == proxies.FULL:
            found.append(Requirement("KiB for an idle connection", IDLE_KIB, row["kib_per_connection"]))
    soak = report.get("soak")
    if soak:
        growth = soak["end_mib"] - soak["start_mib"]
        found.append(Requirement(f"MiB grown by in {soak['seconds']} s of load", GROWTH_MIB, growth))
        found.append(Requirement(f"errors in {soak['seconds']} s of load", 0, soak["errors"]))
    for row in report.get("instructions", []):
        if row["proxy"] == proxies.FULL:
            found.append(Requirement("user instructions per request", instructions.MOST_INSTRUCTIONS, row["instructions"]))
            found.append(Requirement("heap calls per request", instructions.MOST_HEAP_CALLS, row["heap_calls"]))
    return found
