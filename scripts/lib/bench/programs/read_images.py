"""``python read_images.py STORE PATH COUNT ORDER``: read every image once, in a process of its own.

STORE is a name of ``STORES``, ORDER ``in-order`` or ``at-random``. Opening the store counts.
"""

import random
import sys
import tarfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

import lmdb
from clock import Clock

from runner import Images, images

Read = Callable[[int], bytes]


def files(folder: Path, _stack: ExitStack) -> Read:
    """A folder with a file for each image."""
    return lambda number: (folder / f"{number:06d}.jpg").read_bytes()


def tar(path: Path, stack: ExitStack) -> Read:
    """One tar file, whose members are found by reading all their heads once."""
    file = stack.enter_context(path.open("rb"))
    with tarfile.open(path) as archive:
        places = {member.name: (member.offset_data, member.size) for member in archive}

    def read(number: int) -> bytes:
        start, size = places[f"{number:06d}.jpg"]
        file.seek(start)
        return file.read(size)

    return read


def plain_lmdb(path: Path, stack: ExitStack) -> Read:
    """One LMDB file with nothing but the images."""
    store = stack.enter_context(lmdb.open(str(path), subdir=False, readonly=True, lock=False, lib_version=0))
    transaction = stack.enter_context(store.begin())
    return lambda number: bytes(transaction.get(number.to_bytes(4, "big")))


def job(path: Path, _stack: ExitStack) -> Read:
    """A job, as a sequence of images."""
    view = Images(path)
    return lambda number: view[number][1]


STORES: dict[str, Callable[[Path, ExitStack], Read]] = {
    "files": files,
    "tar": tar,
    "plain-lmdb": plain_lmdb,
    "runner": job,
}


def in_order(store: str, path: Path, count: int) -> Iterable[bytes]:
    """As a program would that wants them all: where a store has a quicker way than one by one, by that."""
    if store == "runner":
        yield from (body for _, body in images(path))
    elif store == "tar":
        with tarfile.open(path, "r|") as archive:
            for member in archive:
                yield archive.extractfile(member).read()
    else:
        with ExitStack() as stack:
            read = STORES[store](path, stack)
            yield from map(read, range(count))


def at_random(store: str, path: Path, count: int) -> Iterable[bytes]:
    numbers = random.Random(1).sample(range(count), count)
    with ExitStack() as stack:
        yield from map(STORES[store](path, stack), numbers)


def main(store: str, path: Path, count: int, order: str) -> None:
    clock = Clock()
    bodies = in_order(store, path, count) if order == "in-order" else at_random(store, path, count)
    sizes = [len(body) for body in bodies]
    assert len(sizes) == count
    clock.tell(peak_mb=0.0, outcomes={"bytes": sum(sizes)})  # pages of mapped files are no memory of its own


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
