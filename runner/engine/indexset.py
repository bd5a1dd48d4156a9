"""The indices of a shard that a worker has still to finish."""

from collections.abc import Iterable, Iterator, Sequence


class IndexSet:
    """A set of the numbers below some millions, in a byte for each number up to the largest.

    The parent has one for every shard that is open: a ``set`` of ints would take seventy times as much.
    """

    def __init__(self) -> None:
        self._flags = bytearray()
        self._count = 0

    def update(self, indices: Sequence[int]) -> None:
        missing = max(indices, default=-1) + 1 - len(self._flags)
        self._flags.extend(bytes(max(0, missing)))
        for index in indices:
            self._flags[index] = 1
        self._count = self._flags.count(1)

    def discard(self, index: int) -> None:
        if index in self:
            self._flags[index] = 0
            self._count -= 1

    def without(self, others: Iterable[int]) -> list[int]:
        """What is in the set and not among the others, ascending."""
        excluded = frozenset(others)
        return [index for index in self if index not in excluded]

    def __contains__(self, index: object) -> bool:
        return isinstance(index, int) and index < len(self._flags) and self._flags[index] == 1

    def __iter__(self) -> Iterator[int]:
        return (index for index, flag in enumerate(self._flags) if flag)

    def __len__(self) -> int:
        return self._count
