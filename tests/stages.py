"""Small stages to try the engine with. Workers import them from here."""

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path

from runner.engine.items import DONE, Item, Items, Key, Mark, Result


@dataclass(frozen=True)
class Stage:
    """Turns index n into the payload b"n"; subclasses misbehave."""

    output: Path | None = None
    slice_size: int | None = None
    patience: float = 30.0
    name: str = "toy"
    log: Path | None = None

    @property
    def warm_up(self) -> Callable[[], object]:
        return partial(import_module, __name__)

    def read(self, shard: int, indices: Sequence[int]) -> Iterator[Item[int]]:
        for index in indices:
            yield Item(Key(shard, index), index)

    def process(self, items: Iterator[Item[int] | None]) -> Iterator[Result | None]:
        for item in items:
            assert item is not None, "nothing is in flight, so the feed must wait by itself"
            yield self.work(item)

    def work(self, item: Item[int]) -> Result:
        if self.log is not None:
            with self.log.open("a") as log:
                log.write(f"{item.key.shard} {item.key.index} {os.getpid()}\n")
        return Result(item.key, Mark(DONE, len(payload(item.key))), payload(item.key))


def payload(key: Key) -> bytes:
    return f"{key.shard}:{key.index}".encode()


@dataclass(frozen=True)
class Failing(Stage):
    """Every third item fails."""

    def work(self, item: Item[int]) -> Result:
        done = super().work(item)
        return done if item.key.index % 3 else Result(item.key, Mark("odd"))


@dataclass(frozen=True)
class Deadly(Stage):
    """Item 7 of every shard kills its process."""

    def work(self, item: Item[int]) -> Result:
        if item.key.index == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().work(item)


@dataclass(frozen=True)
class Spinning(Stage):
    """Item 7 never ends."""

    def work(self, item: Item[int]) -> Result:
        result = super().work(item)
        while item.key.index == 7:
            time.sleep(0.01)
        return result


@dataclass(frozen=True)
class Buggy(Stage):
    """Item 7 meets a program error."""

    def work(self, item: Item[int]) -> Result:
        if item.key.index == 7:
            raise KeyError("a bug of ours")
        return super().work(item)


@dataclass(frozen=True)
class Hungry(Stage):
    """Item 7 needs more memory than there is."""

    def work(self, item: Item[int]) -> Result:
        if item.key.index == 7:
            raise MemoryError
        return super().work(item)


@dataclass(frozen=True)
class Unprepared(Stage):
    """What its workers need is not there."""

    @property
    def warm_up(self) -> Callable[[], object]:
        return partial(import_module, "no_such_module")


@dataclass(frozen=True)
class Slow(Stage):
    """Takes a moment over every item."""

    pause: float = 0.01

    def work(self, item: Item[int]) -> Result:
        time.sleep(self.pause)
        return super().work(item)


@dataclass(frozen=True)
class Gated(Slow):
    """Items from 20 on are begun, and end only once the file ``gate`` is there."""

    gate: Path = Path()

    def work(self, item: Item[int]) -> Result:
        result = super().work(item)
        while item.key.index >= 20 and not self.gate.exists():
            time.sleep(self.pause)
        return result


@dataclass(frozen=True)
class Wide(Stage):
    """Works on ``width`` items at once; the ``straggler`` ends only after so many ``others``."""

    width: int = 8
    straggler: Key | None = None
    others: int = 0

    def process(self, items: Iterator[Item[int] | None]) -> Iterator[Result | None]:
        waiting: Item[int] | None = None
        finished = 0
        flying: deque[Item[int]] = deque()
        more = True
        while more or flying or waiting:
            while more and len(flying) < self.width:
                item = next(items, self)
                if item is self:
                    more = False
                elif item is None:
                    break
                elif item.key == self.straggler:
                    waiting = item
                else:
                    flying.append(item)
            if flying:
                yield self.work(flying.popleft())
                finished += 1
            elif waiting and finished == self.others:
                yield self.work(waiting)
                waiting = None
            else:
                yield None


@dataclass(frozen=True)
class DeadlyWide(Wide):
    """Several items in flight when one of them kills the process."""

    def work(self, item: Item[int]) -> Result:
        if item.key.index == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().work(item)


@dataclass(frozen=True)
class PuttingBy(Stage):
    """Puts every odd item by, and works on those when nothing else is left."""

    def process(self, items: Items[int]) -> Iterator[Result | None]:
        shelf: list[Key] = []
        for item in items:
            if item is None:
                yield from self.work_on_shelf(shelf, items)
            elif item.key.index % 2:
                items.put_by(item.key)
                shelf.append(item.key)
            else:
                yield self.work(item)

    def work_on_shelf(self, shelf: list[Key], items: Items[int]) -> Iterator[Result]:
        shard = shelf[0].shard
        indices = sorted(key.index for key in shelf if key.shard == shard)[:3]
        for item in items.take_back(shard, indices):
            shelf.remove(item.key)
            yield self.work(item)


@dataclass(frozen=True)
class DeadlyPuttingBy(PuttingBy):
    """One of those that were put by kills the process."""

    def work(self, item: Item[int]) -> Result:
        if item.key.index == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().work(item)
