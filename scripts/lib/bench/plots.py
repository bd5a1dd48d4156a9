"""Pictures of tables, for a page: light, and no more in them than can be read."""

import importlib
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .growth import START
from .results import Table

WIDTH = 7.5  # inches; at 110 dots each, about as wide as a page shows
DOTS = 110
OURS, OTHERS, LIMIT = "#1f6fb4", "#b8bfc6", "#6b7680"
LINES = ("#1f6fb4", "#d1661f", "#3a9144", "#8a4fb0", "#b3273a", "#7a6a12", "#3f4a54")
Draw = Callable[[Sequence[Table], Path], None]


def bars(found: Sequence[Table], file: Path) -> None:
    """Things a second of each contender, by table; whiskers from the slowest round to the fastest."""
    heights = [len(table.runs) for table in found]
    figure, all_axes = _figure(0.34 * sum(heights) + 0.75 * len(found), len(found), heights)
    for axes, table in zip(all_axes, found, strict=True):
        names = list(table.runs)[::-1]
        rates = [[run.rate for run in table.runs[name]] for name in names]
        middles = [statistics.median(several) for several in rates]
        below = [middle - min(several) for middle, several in zip(middles, rates, strict=True)]
        above = [max(several) - middle for middle, several in zip(middles, rates, strict=True)]
        axes.barh(
            names,
            middles,
            xerr=(below, above),
            color=[_colour(name, table) for name in names],
            error_kw={"ecolor": "#333333", "elinewidth": 0.9, "capsize": 2.5},
        )
        for name, middle, more in zip(names, middles, above, strict=True):
            axes.annotate(f" {middle:,.0f}", (middle + more, name), va="center", fontsize=8)
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlim(0, max(map(max, rates)) * 1.13)
        axes.set_title(f"{table.title}: {table.units} a second", fontsize=9, loc="left")
    _save(figure, file)


def grouped(found: Sequence[Table], file: Path) -> None:
    """One group of bars for each table."""
    names = list(dict.fromkeys(name for table in found for name in table.runs))
    figure, (axes,) = _figure(3.4, 1, [1])
    width = 0.8 / len(names)
    for number, name in enumerate(names):
        places = [place for place, table in enumerate(found) if name in table.runs]
        rates = [statistics.median(run.rate for run in found[place].runs[name]) for place in places]
        axes.bar(
            [place + (number - (len(names) - 1) / 2) * width for place in places],
            rates,
            width * 0.92,
            label=name,
            color=_colour(name, found[0]) if len(names) < 3 else LINES[number],
        )
    titles = [table.title.replace(", ", "\n").replace("connections", "conn.") for table in found]
    axes.set_xticks(range(len(found)), titles, fontsize=7.5)
    axes.yaxis.set_major_formatter("{x:,.0f}")
    axes.set_ylabel(f"{found[0].units} a second", fontsize=8)
    _legend(axes)
    _save(figure, file)


def lines(found: Sequence[Table], file: Path) -> None:
    """Processor time for each thing, by their number: one line for each table."""
    figure, (axes,) = _figure(3.6, 1, [1])
    for table, colour in zip(found, LINES, strict=False):
        measured = {_number(name): runs for name, runs in table.runs.items() if name != START}
        sizes = [*measured]
        costs = [statistics.median(run.cpu_us for run in runs) for runs in measured.values()]
        axes.plot(sizes, costs, marker="o", markersize=4, label=table.title, color=colour)
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.6g}")
        axis.set_minor_formatter("")
    axes.set_xticks(sorted({_number(name) for table in found for name in table.runs if name != START}))
    axes.set_xlabel(f"{found[0].units} in the job", fontsize=8)
    axes.set_ylabel(f"processor time, us per {found[0].unit}", fontsize=8)
    _legend(axes)
    _save(figure, file)


def _number(size: str) -> int:
    return int(size.replace(",", ""))


def _colour(name: str, table: Table) -> str:
    if name.startswith("runner"):
        return OURS
    return LIMIT if name == next(iter(table.runs)) else OTHERS


def _figure(height: float, rows: int, heights: Sequence[int]) -> tuple[Any, list[Any]]:
    try:
        importlib.import_module("matplotlib").use("Agg")
    except ImportError:
        raise SystemExit("Plots are made by matplotlib: .venv/bin/pip install -e .[bench]") from None
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        rows, 1, figsize=(WIDTH, height), squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for each in axes[:, 0]:
        each.tick_params(labelsize=8, length=0)
        each.spines[["top", "right"]].set_visible(False)
        each.grid(color="#e6e9ec", linewidth=0.7)
        each.set_axisbelow(True)
    return figure, list(axes[:, 0])


def _legend(axes: Any) -> None:
    axes.legend(fontsize=8, frameon=False, ncols=4, loc="lower left", bbox_to_anchor=(0.0, 1.0))


def _save(figure: Any, file: Path) -> None:
    from matplotlib import pyplot

    figure.tight_layout()
    # No date and no version in it: the same figures give the same file.
    figure.savefig(file, dpi=DOTS, metadata={"Software": None})
    pyplot.close(figure)


TITLES = {
    "download": "Images a second, by tool",
    "latency": "Images a second, by delay and connections",
    "hosts": "Images a second, by number of hosts",
    "scale": "Processor time for each URL, by the size of the job",
    "hash": "Images hashed a second, by tool",
    "read": "Images read a second, by store",
}
DRAWN: dict[str, Draw] = {
    "download": bars,
    "latency": grouped,
    "hosts": bars,
    "scale": lines,
    "hash": bars,
    "read": grouped,
}
