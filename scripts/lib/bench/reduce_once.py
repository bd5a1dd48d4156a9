"""``python reduce_once.py HASHES TABLE RADIUS``: one dedup pass in a process of its own; its cost as JSON."""

import json
import resource
import sys
import time
from pathlib import Path

from runner.dedup import reduce
from runner.options import Selection


def main(hashes: Path, table: Path, radius: int) -> None:
    began = time.monotonic()
    shards = range(sum(1 for _ in hashes.glob("*.lmdb")))
    outcome = reduce(hashes, table, Selection(near=radius), shards=shards)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cost = {
        "seconds": time.monotonic() - began,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss * 1024 / 1e6,
        "table_mb": table.stat().st_size / 1e6,
        "unique": outcome.unique,
        "duplicates": outcome.duplicates,
    }
    print(json.dumps(cost))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
