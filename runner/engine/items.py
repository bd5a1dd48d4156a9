"""The engine's words: an item goes into a stage, a result with its mark comes out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import msgpack

T = TypeVar("T")

DONE = "done"
CRASHED = "crashed"


class Key(NamedTuple):
    """Identity of an item: its shard and its index within the shard, both u32."""

    shard: int
    index: int  # type: ignore[assignment]  # it hides tuple.index, which nobody asks of a key


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """One unit of work. ``data`` is what the stage's ``read`` loaded for it."""

    key: Key
    data: T


@dataclass(frozen=True, slots=True)
class Mark:
    """What the checkpoint remembers of an item in a stage.

    ``outcome`` is ``DONE`` or the reason of the failure, ``size`` the bytes that were worked on (for
    progress and totals), ``detail`` a tuple of msgpack values whose meaning is the stage's own.
    """

    outcome: str
    size: int = 0
    detail: tuple[Any, ...] = ()

    def pack(self) -> bytes:
        return bytes(msgpack.packb((self.outcome, self.size, self.detail)))

    @classmethod
    def unpack(cls, data: bytes) -> "Mark":
        outcome, size, detail = msgpack.unpackb(data, use_list=False)
        return cls(outcome, size, detail)


DONE_PACKED = Mark(DONE).pack()[: -len(msgpack.packb(0) + msgpack.packb(()))]
"""What the packed mark of an item begins with that is done, and of no other."""


@dataclass(frozen=True, slots=True)
class Result:
    """A finished item: its mark and, where the stage stores something, the payload."""

    key: Key
    mark: Mark
    payload: bytes | None = None


class Items(Iterator[Item[T] | None], Protocol[T]):
    """What a stage pulls its items from.

    It gives ``None`` for "nothing just now", and only while items given earlier are unfinished.
    """

    def put_by(self, key: Key) -> None:
        """Let go of an item that was given and is not being worked on: it takes no place any more."""
        ...

    def take_back(self, shard: int, indices: Sequence[int]) -> list[Item[T]]:
        """Items that were put by (``indices`` ascending), to be worked on now: as many as there is room for.

        That is only the first ones, or none; then ask again later. After the end, which does not come by
        itself while anything is put by, there are none.
        """
        ...


class Stage(Protocol[T]):
    """A named pass over items. Instances are pickled to the workers, so they hold settings, nothing open.

    ``name``        of the stage, under which the checkpoint keeps its marks
    ``output``      folder of the LMDB files that take the payloads, one per shard; None if there are none
    ``slice_size``  None: a whole shard goes to one worker, and that worker writes the shard's output file.
                    A number: up to so many items go to any free worker, and the parent writes the output
                    files (for stages whose payloads are small).
    ``patience``    seconds that a worker may go without a sign of life before it is killed and replaced
    ``warm_up``     called once in the process that the workers are forked from: imports what they will need.
                    A function that can be pickled, and opens nothing
    """

    @property
    def name(self) -> str: ...

    @property
    def output(self) -> Path | None: ...

    @property
    def slice_size(self) -> int | None: ...

    @property
    def patience(self) -> float: ...

    @property
    def warm_up(self) -> Callable[[], object]: ...

    def read(self, shard: int, indices: Sequence[int]) -> Iterator[Item[T]]:
        """Load these items of a shard, in this order. Called in the process that runs the stage."""
        ...

    def process(self, items: Items[T]) -> Iterator[Result | None]:
        """Turn items into results, in any order, each item into exactly one.

        ``None`` means "nothing just now" in both directions: a stage that works on one item at a time never
        sees it; a stage that waits gives it at least every second as its sign of life. An item may not wait
        for later ones, nor for the end of the feed. After that end the stage finishes what it has in flight,
        and forgets what it has put by; the engine may also close the iterator, and what is unfinished is
        dropped.
        """
        ...
