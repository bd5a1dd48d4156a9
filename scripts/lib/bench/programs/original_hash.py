"""The second script that runner takes the place of: ``python original_hash.py FOLDER``.

Eight processes hash every file of a folder, drop images under 100 pixels, and drop duplicates within each
block of 20,000 files (or an eighth of them); what is left is only counted.
"""

import math
import sys
from multiprocessing import Pool
from pathlib import Path

import imagehash
from PIL import Image

PROCESSES = 8
BLOCK = 20_000
MIN_SIDE = 100


def main(folder: Path) -> None:
    files = sorted(folder.iterdir())
    size = min(BLOCK, math.ceil(len(files) / PROCESSES))
    blocks = [files[start : start + size] for start in range(0, len(files), size)]
    with Pool(PROCESSES) as pool:
        print(sum(pool.imap(unique, blocks)))


def unique(files: list[Path]) -> int:
    """How many different images of a size that is wanted there are in a block."""
    seen = set()
    for file in files:
        with Image.open(file) as image:
            if min(image.size) >= MIN_SIDE:
                seen.add(str(imagehash.phash(image)))
    return len(seen)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
