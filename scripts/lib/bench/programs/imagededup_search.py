"""``python imagededup_search.py HASHES RADIUS METHOD``: imagededup's search for duplicates; its cost as JSON.

HASHES: a file with one hash a line, 16 hex digits.
"""

import sys
from pathlib import Path

from clock import Clock
from imagededup_alone import hasher


def main(hashes: Path, radius: int, method: str) -> None:
    encodings = {str(number): line for number, line in enumerate(hashes.read_text().split())}
    phash = hasher()
    clock = Clock()
    found = phash.find_duplicates(encoding_map=encodings, max_distance_threshold=radius, search_method=method)
    clock.tell(outcomes={"with duplicates": sum(map(bool, found.values()))})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
