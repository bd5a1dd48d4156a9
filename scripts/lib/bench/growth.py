"""What one thing costs, by their number: does that stay what it is, and is memory within its limits?"""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

from .measure import Run
from .results import Table
from .tables import Grid

START = "1"
"""The runs over a single thing: what it takes to start."""

# Megabytes of the parent and of the largest worker. The dedup, with which an export begins, works on all
# hashes at once, in one process.
LIMITS = (150, 120)
DEDUP_LIMITS = (1000, 120)


def costs(found: Sequence[Table]) -> Grid:
    """A row for each table: wall and processor time for each thing, by their number, and the growth."""
    sizes = _sizes(found)
    rows = [["wall / CPU", "to start", *sizes, "growth", "of further ones"]]
    for table in found:
        start = table.runs.get(START, [])
        cells = [_cost(table.runs.get(size, [])) for size in sizes]
        rows.append([table.title, _told(start), *cells, _growth(table), _growth_of_further(table)])
    return rows


def memory(found: Sequence[Table]) -> Grid:
    """A row for each table: megabytes of parent and largest worker, and whether they keep within limits."""
    sizes = [START, *_sizes(found)]
    rows = [["MB of parent / worker", *sizes, "limits", ""]]
    for table in found:
        limits = DEDUP_LIMITS if table.title in ("dedup", "export") else LIMITS
        largest = [_megabytes(table.runs.get(size, [])) for size in sizes]
        last = next(each for each in reversed(largest) if each)
        within = all(used <= limit for used, limit in zip(last, limits, strict=True))
        rows.append(
            [
                table.title,
                *map(_pair, largest),
                _pair(limits),
                "within" if within else "over",
            ]
        )
    return rows


def extrapolated(table: Table, count: int) -> str:
    """What so many would take in one process, if what was measured goes on: one sentence."""
    names = [*table.runs]
    few, many = table.runs[names[0]], table.runs[names[-1]]
    power = math.log(_cpu_seconds(many) / _cpu_seconds(few)) / math.log(many[0].count / few[0].count)
    minutes = _cpu_seconds(many) * (count / many[0].count) ** power / 60
    each = (_peak(many) - _peak(few)) / (many[0].count - few[0].count)
    gigabytes = (_peak(many) + each * (count - many[0].count)) / 1000
    return (
        f"Processor time grows as the {power:.2f}th power of the number, memory by {each * 1e6:.0f} bytes "
        f"for each. By this curve {count:,} take {minutes:,.0f} minutes and {gigabytes:,.0f} GB."
    )


def _peak(runs: Sequence[Run]) -> float:
    return statistics.median(run.peak_mb for run in runs)


def _sizes(found: Sequence[Table]) -> list[str]:
    return [size for size in dict.fromkeys(size for table in found for size in table.runs) if size != START]


def _told(start: Sequence[Run]) -> str:
    return f"{_seconds(start):.2f} / {_cpu_seconds(start):.2f} s" if start else ""


def _cost(runs: Sequence[Run]) -> str:
    if not runs:
        return ""
    wall, cpu = (1e6 * each / runs[0].count for each in (_seconds(runs), _cpu_seconds(runs)))
    return f"{wall:,.1f} / {cpu:,.1f} us"


def _growth(table: Table) -> str:
    """Of the wall time for each, from the smallest number to the largest."""
    sizes = _measured(table)
    return f"{_further([], sizes[-1]) / _further([], sizes[0]):.2f}" if len(sizes) > 1 else ""


def _growth_of_further(table: Table) -> str:
    """The same for those that one size has more than the one before, so that the start drops out.

    Sizes between which the time hardly grows are passed over: there the difference says nothing.
    """
    pairs = [*pairwise(_measured(table))]
    if len(pairs) < 2:
        return ""
    telling = [pair for pair in pairs if _seconds(pair[1]) >= 1.5 * _seconds(pair[0])]
    if telling[:1] in ([], pairs[-1:]):
        return "start prevails"
    return f"{_further(*pairs[-1]) / _further(*telling[0]):.2f}"


def _measured(table: Table) -> list[Sequence[Run]]:
    return [runs for size, runs in table.runs.items() if size != START]


def _further(few: Sequence[Run], many: Sequence[Run]) -> float:
    """Seconds for each that the second have more."""
    return (_seconds(many) - _seconds(few)) / (many[0].count - (few[0].count if few else 0))


def _seconds(runs: Sequence[Run]) -> float:
    return statistics.median(run.seconds for run in runs) if runs else 0.0


def _cpu_seconds(runs: Sequence[Run]) -> float:
    return statistics.median(run.cpu_seconds for run in runs) if runs else 0.0


def _megabytes(runs: Sequence[Run]) -> tuple[float, float] | None:
    """Of the parent, or of the one process that there is, and of the largest worker; None if not measured."""
    if not runs:
        return None
    return max(run.parent_mb or run.peak_mb for run in runs), max(run.worker_mb for run in runs)


def _pair(megabytes: tuple[float, float] | None) -> str:
    return f"{megabytes[0]:,.0f} / {megabytes[1]:,.0f}" if megabytes else ""
