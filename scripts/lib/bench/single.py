"""Single processes that tell what they took: ``one_worker`` and ``reference_loop``."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from .timing import spread

Taken = dict[str, Any]


def worker(urls: Path, **options: Any) -> Taken:
    """One worker of `runner start` with these options, without engine and store."""
    return _run("one_worker.py", urls, options)


def reference(urls: Path, **options: Any) -> Taken:
    """A bare libcurl loop."""
    return _run("reference_loop.py", urls, options)


def in_turn(contenders: dict[str, Callable[[], Taken]], runs: int) -> dict[str, list[Taken]]:
    """So many rounds, each contender once in each; by name."""
    results: dict[str, list[Taken]] = {name: [] for name in contenders}
    for number in range(runs):
        for name, contender in contenders.items():
            results[name].append(contender())
            print(f"round {number + 1} of {runs}: {name}: {results[name][-1]['seconds']:.1f} s", flush=True)
    return results


def report(file: Path, results: dict[str, list[Taken]], rows: Sequence[str]) -> None:
    """Print rows of figures and write everything as JSON."""
    print("\n" + "\n".join(rows))
    file.write_text(json.dumps(results, indent=2) + "\n")


def middle(values: Sequence[float], form: str = ".2f") -> str:
    return spread(values, form)


def _run(script: str, urls: Path, options: dict[str, Any]) -> Taken:
    command = [sys.executable, str(Path(__file__).with_name(script)), str(urls), json.dumps(options)]
    taken: Taken = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return taken
