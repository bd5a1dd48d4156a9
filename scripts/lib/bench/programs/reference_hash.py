"""The limit to come close to: so many processes that do nothing but ``imagehash.phash(Image.open(...))``.

``python reference_hash.py BATCHES PROCESSES phash|decode``: over every image in a folder of batches, results
thrown away. With ``decode`` not even the hash is made.
"""

import multiprocessing
import sys
from collections.abc import Callable
from io import BytesIO
from operator import methodcaller
from pathlib import Path

from PIL import Image

from runner.engine.shardfile import ShardFile, read_payloads


def main(batches: Path, processes: int, what: str) -> int:
    work = [(file, sorted(indices(file))) for file in sorted(batches.glob("*.lmdb"))]
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=look_at, args=([(file, found[k::processes]) for file, found in work], what))
        for k in range(processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return int(any(worker.exitcode for worker in workers))


def indices(file: Path) -> list[int]:
    with ShardFile(file, readonly=True) as shard:
        return list(shard.marks())


def look_at(work: list[tuple[Path, list[int]]], what: str) -> None:
    look: Callable[[Image.Image], object] = methodcaller("load")
    if what == "phash":
        import imagehash  # brings scipy, which the decoder does without

        look = imagehash.phash
    for file, found in work:
        for _index, body in read_payloads(file, found):
            look(Image.open(BytesIO(body)))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
