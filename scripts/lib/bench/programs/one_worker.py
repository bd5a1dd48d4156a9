"""What one worker does, in one process: ``python one_worker.py LIST '{"connections": 64, ...}' [UNTIL]``.

Fetches the list with the download stage alone and prints, as JSON, what it took and what became of the URLs.
UNTIL: the clock stops at the ``end``, or when the ``last-good`` image has arrived.
"""

import json
import resource
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from clock import Clock

from runner.download import DownloadStage, Wanted
from runner.engine.items import DONE, Item, Items, Key
from runner.fetch import FetchOptions


def main(urls: Path, options: dict[str, Any], until: str = "end") -> None:
    fetch = FetchOptions(allow_private=True, **options)
    stage = DownloadStage(urls.parent, urls.parent, urls.parent / "hosts", fetch)
    lines = urls.read_text().split()
    allow_all_descriptors()
    outcomes: Counter[str] = Counter()
    last_good = 0.0
    clock = Clock()
    for result in stage.process(Lines(lines)):
        if result is not None:
            outcomes[result.mark.outcome] += 1
            if result.mark.outcome == DONE:
                last_good = clock.lap()
    clock.tell(seconds=last_good if until == "last-good" else clock.lap(), outcomes=outcomes)


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


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), *sys.argv[3:])
