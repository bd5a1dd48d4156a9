"""Tables of runs, for a terminal and for a page: medians, with the lowest and highest round in brackets."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .measure import Run
from .results import Table


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
    chosen = [Column(f"{table.unit}s/s", lambda run, _: run.rate, ",.0f", spread=True)]
    if table.size is not None:
        size = table.size
        chosen.append(Column("MB/s", lambda run, _: run.rate * size / 1e6, ",.0f"))
    chosen.append(Column(f"CPU us/{table.unit}", lambda run, _: run.cpu_us, ",.0f"))
    chosen.append(Column("peak MB", lambda run, _: run.peak_mb, ",.0f"))
    if any(run.worker_mb for runs in table.runs.values() for run in runs):
        chosen.append(Column("parent MB", lambda run, _: run.parent_mb, ",.0f"))
        chosen.append(Column("worker MB", lambda run, _: run.worker_mb, ",.0f"))
    chosen.append(Column("ratio", ratio, ".2f", spread=True))
    return chosen


def ratio(run: Run, first: Run) -> float:
    """How many times as fast as the first contender in the same round."""
    return run.rate / first.rate


def ratios(table: Table, name: str) -> list[float]:
    first = next(iter(table.runs.values()))
    return [ratio(run, other) for run, other in zip(table.runs[name], first, strict=True)]


def told(values: Sequence[float], form: str, spread: bool) -> str:
    middle = f"{statistics.median(values):{form}}"
    return f"{middle} ({min(values):{form}}-{max(values):{form}})" if spread and len(values) > 1 else middle


def cells(table: Table) -> list[list[str]]:
    """The rows of the table, the head first."""
    chosen = columns(table)
    first = next(iter(table.runs.values()))
    rows = [[name, *(column.cell(runs, first) for column in chosen)] for name, runs in table.runs.items()]
    return [[table.title, *(column.head for column in chosen)], *rows]


def text(table: Table) -> str:
    """For a terminal."""
    rows = cells(table)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    )


def markdown(table: Table) -> str:
    """For a page."""
    head, *rows = [f"| {' | '.join(row)} |" for row in cells(table)]
    return "\n".join([head, "|---|" + "---:|" * (len(cells(table)[0]) - 1), *rows])
