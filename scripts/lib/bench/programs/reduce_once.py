"""``python reduce_once.py HASHES TABLE RADIUS``: one dedup pass in a process of its own; its cost as JSON."""

import sys
from pathlib import Path

from clock import Clock

from runner.dedup import reduce
from runner.export_options import Selection


def main(hashes: Path, table: Path, radius: int) -> None:
    clock = Clock()
    shards = range(sum(1 for _ in hashes.glob("*.lmdb")))
    outcome = reduce(hashes, table, Selection(near=radius), shards=shards)
    table_mb = round(table.stat().st_size / 1e6)
    clock.tell(
        outcomes={"kept": outcome.unique, "duplicates": outcome.duplicates, "MB of table": table_mb},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
