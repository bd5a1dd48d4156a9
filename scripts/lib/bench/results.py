"""What a benchmark found, with what it takes to judge it: command, machine, versions. Kept as JSON."""

import json
import os
import platform
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

from . import peers
from .measure import Run, Runs

PACKAGES = ("pycurl", "requests", "lmdb", "Pillow", "imagehash", "numpy")


@dataclass(frozen=True)
class Table:
    """Contenders that did the same work in turn; the first is what the others are measured against.

    ``unit``   what was counted, such as ``image``
    ``size``   bytes of one of them, if they have a size
    ``timed``  how long all of it took is of interest, and what came of it
    """

    title: str
    unit: str
    runs: Runs
    size: float | None = None
    timed: bool = False

    @property
    def units(self) -> str:
        return self.unit + ("es" if self.unit.endswith("sh") else "s")


@dataclass(frozen=True)
class Findings:
    """The answer to one question. ``figures`` is for what does not fit in a table."""

    tables: Sequence[Table] = ()
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """Findings and where they come from."""

    question: str
    command: str
    machine: dict[str, Any]
    versions: dict[str, str]
    findings: Findings

    @classmethod
    def of(cls, question: str, arguments: Sequence[str], load: float, findings: Findings) -> Self:
        """A record made here and now; ``load`` is what the machine did before."""
        command = shlex.join(["scripts/bench", question, *arguments])
        return cls(question, command, {**machine(), "load_before": load}, versions(), findings)

    @classmethod
    def load(cls, file: Path) -> Self:
        found = json.loads(file.read_text())
        tables = [
            Table(
                **{
                    **table,
                    "runs": {name: [Run(**run) for run in runs] for name, runs in table["runs"].items()},
                }
            )
            for table in found["findings"]["tables"]
        ]
        return cls(**{**found, "findings": Findings(tables, found["findings"]["figures"])})

    def save(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1) + "\n")


def machine() -> dict[str, Any]:
    """What kind it is; neither its name nor where it stands."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    kernel = ".".join(platform.release().split(".")[:2])
    return {
        "system": f"{platform.system()} {kernel}, {platform.machine()}",
        "processors": os.cpu_count(),
        "memory_gb": round(pages / 2**30),
    }


def versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("runner-images", *PACKAGES)}
    return {"python": platform.python_version()} | packages | peers.versions()
