"""What one worker does, in one process: ``python one_worker.py LIST '{"connections": 64, ...}'``.

Fetches the list with the download stage alone and prints, as JSON, what it took and what became of the URLs.
"""

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from runner.download import DownloadStage, Wanted
from runner.engine.items import Item, Items, Key
from runner.fetch import FetchOptions


def main(urls: Path, **options: object) -> None:
    fetch = FetchOptions(allow_private=True, **options)  # type: ignore[arg-type]
    stage = DownloadStage(urls.parent, urls.parent, urls.parent / "hosts", fetch)
    lines = urls.read_text().split()
    allow_all_descriptors()
    outcomes: Counter[str] = Counter()
    last = began = time.monotonic()
    cpu_began = cpu_seconds()
    peak_began = peak_bytes()
    for result in stage.process(Lines(lines)):
        if result is not None:
            outcomes[result.mark.outcome] += 1
            last = time.monotonic() if result.mark.outcome == "done" else last
    print(
        json.dumps(
            {
                "seconds": time.monotonic() - began,
                "seconds_of_good": last - began,
                "cpu_seconds": cpu_seconds() - cpu_began,
                "bytes": peak_bytes() - peak_began,
                "outcomes": outcomes,
            }
        )
    )


class Lines(Items[Wanted]):
    """A list, as the engine's feed would give it."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._lines = lines
        self._given = 0
        self._put_by: set[Key] = set()

    def __next__(self) -> Item[Wanted] | None:
        if self._given < len(self._lines):
            self._given += 1
            return Item(Key(0, self._given - 1), Wanted(self._lines[self._given - 1]))
        if self._put_by:
            return None
        raise StopIteration

    def put_by(self, key: Key) -> None:
        self._put_by.add(key)

    def take_back(self, shard: int, indices: Sequence[int]) -> list[Item[Wanted]]:
        keys = [Key(shard, index) for index in indices]
        self._put_by.difference_update(keys)
        return [Item(key, Wanted(self._lines[key.index])) for key in keys]


def allow_all_descriptors() -> None:
    """As the engine does for its workers."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(Path(sys.argv[1]), **json.loads(sys.argv[2]))
