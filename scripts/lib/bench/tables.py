"""Tables of runs, for a terminal and for a page: medians, with the lowest and highest round in brackets."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .measure import Run
from .results import Table

Grid = list[list[str]]
"""Cells, row by row, the head first."""

RATIO = "ratio"  # a form of its own: two decimals, or as many as a small one needs
LIMITS = ("bare ", "the decoder alone")  # not another tool, but a part of the work that all of them do


@dataclass(frozen=True)
class Column:
    """A figure of a run, beside the run of the first contender in the same round."""

    head: str
    figure: Callable[[Run, Run], float]
    form: str
    spread: bool = False

    def cell(self, runs: Sequence[Run], first: Sequence[Run]) -> str:
        return told(
            [self.figure(run, other) for run, other in zip(runs, first, strict=True)], self.form, self.spread
        )


def columns(table: Table) -> list[Column]:
    """Those for which the table has figures."""
    chosen = []
    if table.timed:
        chosen.append(Column("seconds", lambda run, _: run.seconds, ",.1f"))
    chosen.append(Column(f"{table.units}/s", lambda run, _: run.rate, ",.0f", spread=True))
    if table.size is not None:
        size = table.size
        chosen.append(Column("MB/s", lambda run, _: run.rate * size / 1e6, ",.0f"))
    chosen.append(Column(f"CPU us/{table.unit}", lambda run, _: run.cpu_us, ",.0f"))
    taken = [run for runs in table.runs.values() for run in runs]
    if any(run.peak_mb for run in taken):
        chosen.append(Column("peak MB", lambda run, _: run.peak_mb, ",.0f"))
    if any(run.worker_mb for run in taken):
        chosen.append(Column("parent MB", lambda run, _: run.parent_mb, ",.0f"))
        chosen.append(Column("worker MB", lambda run, _: run.worker_mb, ",.0f"))
    chosen.append(Column("ratio", ratio, RATIO, spread=True))
    return chosen


def ratio(run: Run, first: Run) -> float:
    """How many times as fast as the first contender in the same round."""
    return run.rate / first.rate


def told(values: Sequence[float], form: str, spread: bool) -> str:
    middle, *ends = (_shown(value, form) for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({'-'.join(ends)})" if spread and len(values) > 1 else middle


def _shown(value: float, form: str) -> str:
    if form == RATIO:
        form = ".2f" if value >= 0.1 else ".2g"
    return f"{value:{form}}"


def plain(table: Table) -> Grid:
    """A row for each contender."""
    chosen = columns(table)
    first = next(iter(table.runs.values()))
    rows = [[name, *(column.cell(runs, first) for column in chosen)] for name, runs in table.runs.items()]
    rows.insert(0, [table.title, *(column.head for column in chosen)])
    if table.timed and any(run.outcomes for runs in table.runs.values() for run in runs):
        rows[0].append("outcome")
        for row, runs in zip(rows[1:], table.runs.values(), strict=True):
            row.append(", ".join(f"{number:,} {what}" for what, number in runs[-1].outcomes.items()))
    return rows


def text(grid: Grid) -> str:
    """For a terminal."""
    widths = [max(map(len, column)) for column in zip(*grid, strict=True)]
    return "\n".join(
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in grid
    )


def markdown(grid: Grid) -> str:
    """For a page."""
    head, *others = [f"| {' | '.join(row)} |" for row in grid]
    return "\n".join([head, "|---|" + "---:|" * (len(grid[0]) - 1), *others])


def by_case(found: Sequence[Table]) -> Grid:
    """A row for each table, a column for each contender, and the last beside the first."""
    names = list(found[0].runs)
    rows = [["", *(f"{name}, {found[0].units}/s" for name in names), f"{names[-1]} / {names[0]}"]]
    for table in found:
        first, last = table.runs[names[0]], table.runs[names[-1]]
        ratios = [ratio(run, other) for run, other in zip(last, first, strict=True)]
        rates = [told([run.rate for run in table.runs[name]], ",.0f", spread=False) for name in names]
        rows.append([table.title, *rates, told(ratios, RATIO, spread=True)])
    return rows


def ahead(table: Table) -> str:
    """Which other tools were quicker than runner, or took less processor time; empty if none."""
    ours = [runs for name, runs in table.runs.items() if name.startswith("runner")]
    others = {name: runs for name, runs in table.runs.items() if not name.startswith(("runner", *LIMITS))}
    if not ours:
        return ""
    rate, cost = max(map(_rate, ours)), min(map(_cpu, ours))
    quicker = [name for name, runs in others.items() if _rate(runs) > rate]
    thriftier = [name for name, runs in others.items() if _cpu(runs) < cost]
    told = {"quicker": quicker, "less processor time": thriftier}
    return "; ".join(f"{what}: {', '.join(names)}" for what, names in told.items() if names)


def _rate(runs: Sequence[Run]) -> float:
    return statistics.median(run.rate for run in runs)


def _cpu(runs: Sequence[Run]) -> float:
    return statistics.median(run.cpu_us for run in runs)
