"""The report, for people."""

import sys

from . import proxies, scenarios


def print_report(report, out=sys.stdout):
    """Tables of everything that was measured, and the verdicts."""
    style = Style(out.isatty())
    say = lambda line="": print(line, file=out)
    versions = report["versions"]
    say()
    say(style.bold(f"gateway {versions['gateway']} beside nginx {versions['nginx']}, HAProxy {versions['haproxy']}, pingora {versions['pingora']}"))
    say(f"{versions['cores']} x {versions['cpu']}, Linux {versions['kernel']}; medians of {report['settings']['rounds']} interleaved rounds of {report['settings']['seconds']} s")
    for scenario in scenarios.ALL:
        for workers in report["settings"]["workers"]:
            rows = [row for row in report["rows"] if row["scenario"] == scenario.name and row["workers"] == workers]
            if rows:
                say()
                pinned = "pinned to a core of its own" if workers == 1 else "not pinned"
                say(style.bold(f"{scenario.name}: {scenario.about}; {workers} worker{'s' * (workers > 1)}, {pinned}"))
                cells(rows, style, say)
    idle(report, style, say)
    soak(report, style, say)
    costs(report, style, say)
    verdicts(report, style, say)


def cells(rows, style, say):
    """A scenario's rows, those of one number of connections together."""
    header = ("connections", "proxy", "requests/s", "CPU us/request", "x nginx", "p50 ms", "p99 ms", "RSS MiB", "errors")
    lines = []
    previous = None
    for row in rows:
        connections = row["connections"]
        if row["failure"] and not row["rounds"]:
            why = row["failure"].strip().splitlines()[0][:60]
            lines.append((number(connections) if connections != previous else "", row["proxy"], f"not measured: {why}"))
        else:
            lines.append(
                (
                    number(connections) if connections != previous else "",
                    row["proxy"],
                    number(row["requests_per_s"]),
                    number(row["cpu_us_per_request"], 1),
                    number(row["ratio_to_nginx"], 2),
                    number(row["p50_ms"], 2),
                    number(row["p99_ms"], 2),
                    number(row["rss_mib"], 1),
                    number(row["errors"]),
                )
            )
        previous = connections
    table(header, lines, style, say, left=(1,))


def idle(report, style, say):
    """Memory for idle connections."""
    rows = report.get("idle_connections")
    if rows:
        say()
        say(style.bold(f"memory for an idle connection, of {rows[0]['connections']:,} that have asked once"))
        lines = [(row["proxy"], number(row["kib_per_connection"], 1)) for row in rows]
        table(("proxy", "KiB"), lines, style, say, left=(0,))


def soak(report, style, say):
    """Growth."""
    found = report.get("soak")
    if found:
        say()
        say(style.bold(f"{found['proxy']} under load for {found['seconds']} s, {found['requests']:,} requests"))
        say(f"  {found['start_mib']:.1f} MiB after warming up, {found['end_mib']:.1f} MiB at the end, {found['errors']} errors")


def costs(report, style, say):
    """What callgrind counts, and what each layer adds."""
    rows = report.get("instructions")
    if not rows:
        return
    say()
    say(style.bold("counted by callgrind, for one request, one at a time"))
    plain = next((row["instructions"] for row in rows if row["proxy"] == proxies.PLAIN), None)
    lines = []
    for row in rows:
        more = f"{row['instructions'] - plain:+,}" if plain and row["proxy"].startswith(proxies.PLAIN + " ") else ""
        lines.append((row["proxy"], number(row["instructions"]), number(row["heap_calls"], 1), more))
    table(("proxy", "user instructions", "heap calls", "of the layer"), lines, style, say, left=(0,))


def verdicts(report, style, say):
    """Which requirements hold."""
    if not report["requirements"]:
        return
    say()
    say(style.bold("what is required"))
    for one in report["requirements"]:
        word = style.green("holds") if one["holds"] else style.red("FAILS")
        measured = "not measured" if one["measured"] is None else f"{one['measured']:,.2f}"
        say(f"  {word}  {one['text']}: {measured}, allowed {one['most']:,g}")


def table(header, lines, style, say, left=()):
    """Columns as wide as they must be, numbers to the right."""
    whole = [line for line in lines if len(line) == len(header)]
    widths = [max(len(cell) for cell in column) for column in zip(header, *whole)]
    # The rest of a line that has fewer cells is a remark.
    for line in [header, *lines]:
        cells = [
            cell.ljust(width) if index in left or len(line) < len(header) else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths))
        ]
        if len(line) < len(header):
            cells[-1] = line[-1]
        text = "  " + "  ".join(cells)
        if line is header:
            text = style.dim(text)
        elif proxies.FULL in line:
            text = style.bold(text)
        say(text.rstrip())


def number(value, digits=0):
    """With thousands apart."""
    return "-" if value is None else f"{value:,.{digits}f}"


class Style:
    """Colours, on a terminal."""

    def __init__(self, is_terminal):
        self.is_terminal = is_terminal

    def wrap(self, code, text):
        """In a colour, or as it is."""
        return f"\033[{code}m{text}\033[0m" if self.is_terminal else text

    def bold(self, text):
        """Headings, and ours."""
        return self.wrap("1", text)

    def dim(self, text):
        """What is seldom read."""
        return self.wrap("2", text)

    def green(self, text):
        """Good."""
        return self.wrap("32", text)

    def red(self, text):
        """Bad."""
        return self.wrap("31", text)
