"""Write the tables and plots of docs/benchmarks.md anew from docs/benchmarks/*.json."""

import re
import shutil
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import growth, plots, tables
from .dedup import MANY
from .results import Record, Table
from .tables import Grid

PAGE = "benchmarks.md"
TOGETHER: dict[str, Callable[[Sequence[Table]], list[Grid]]] = {
    "latency": lambda found: [tables.by_case(found)],
    "read": lambda found: [tables.by_case(found)],
    "scale": lambda found: [growth.costs(found), growth.memory(found)],
}


def run(results: Path | None, docs: Path) -> None:
    """``results``: a folder of JSON files to take over first. What the page has no place for stays out."""
    folder, page = docs / "benchmarks", docs / PAGE
    text = page.read_text()
    folder.mkdir(exist_ok=True)
    for file in sorted(results.glob("*.json")) if results else []:
        if begin(file.stem) in text:
            shutil.copy(file, folder)
    for file in sorted(folder.glob("*.json")):
        record = Record.load(file)
        text = replaced(text, record.question, section(record, folder))
    page.write_text(text)
    print(f"Written: {page}")


def replaced(text: str, name: str, content: str) -> str:
    """The page with other content between the two comments that bear a name."""
    end = f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(begin(name))}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin(name)}\n\n{content}\n\n{end}", text)


def begin(name: str) -> str:
    return f"<!-- {name}: written by scripts/bench report -->"


def section(record: Record, folder: Path) -> str:
    """Where the figures come from, the plot, and the tables."""
    return "\n\n".join(
        [
            f"`{record.command}` · {conditions(record)}",
            *plotted(record, folder),
            *map(tables.markdown, grids(record)),
            *others_ahead(record),
            *extrapolated(record),
        ]
    )


def grids(record: Record) -> list[Grid]:
    """Its tables as they are shown; many of the same contenders as one."""
    together = TOGETHER.get(record.question)
    found = record.findings.tables
    return together(found) if together else [tables.plain(table) for table in found]


def others_ahead(record: Record) -> Iterator[str]:
    """Where another one won."""
    found = [f"- {table.title}: {said}" for table in record.findings.tables if (said := tables.ahead(table))]
    if found:
        yield "Ahead of runner:"
        yield "\n".join(found)


def extrapolated(record: Record) -> Iterator[str]:
    """How the dedup would go on, where there are sizes to go by."""
    for table in record.findings.tables if record.question == "dedup" else ():
        if table.title == MANY and len(table.runs) > 1:
            yield growth.extrapolated(table, 100_000_000)


def conditions(record: Record) -> str:
    machine, version = record.machine, record.versions
    names = {
        "download": ("img2dataset", "aria2c", "wget", "curl", "nginx", "requests"),
        "hosts": ("img2dataset", "curl", "nginx"),
        "hash": ("imagededup", "imagehash", "Pillow"),
        "dedup": ("imagededup", "numpy"),
        "dataset": ("imagededup", "Pillow", "numpy"),
        "export": ("tar",),
        "read": ("lmdb",),
    }.get(record.question, ("pycurl",))
    rounds = statistics.mode(len(runs) for table in record.findings.tables for runs in table.runs.values())
    parts = [
        f"{rounds} round{'s' * (rounds > 1)}",
        f"{machine['processors']} cores, {machine['memory_gb']} GB, {machine['system']}",
        f"load before {machine['load_before']}",
        f"Python {version['python']}",
        *(f"{name} {version[name]}" for name in names if name in version),
    ]
    return ", ".join(parts)


def plotted(record: Record, folder: Path) -> Iterator[str]:
    """The picture of the record as the page shows it, made now."""
    draw = plots.DRAWN.get(record.question)
    if draw is not None:
        file = folder / f"{record.question}.png"
        draw(record.findings.tables, file)
        yield f"![{plots.TITLES[record.question]}]({folder.name}/{file.name})"
