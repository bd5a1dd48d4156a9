"""The script that runner takes the place of, mended so that it loses nothing.

``python original_download.py LIST FOLDER``: eight processes, each handed a block of the list at a time, each
getting, decoding and saving one image after the other. Its users had 20,000 URLs in a block; a short list
is cut in eight.
"""

import math
import sys
from io import BytesIO
from multiprocessing import Pool
from pathlib import Path

import requests
from PIL import Image

PROCESSES = 8
BLOCK = 20_000
TIMEOUT = 10.0  # the first version had none, and hung


def main(urls: Path, folder: Path) -> None:
    lines = urls.read_text().split()
    folder.mkdir(parents=True)
    size = min(BLOCK, math.ceil(len(lines) / PROCESSES))
    blocks = [(start, lines[start : start + size], folder) for start in range(0, len(lines), size)]
    with Pool(PROCESSES) as pool:
        failed = [
            number for several in pool.starmap(download_block, blocks, chunksize=1) for number in several
        ]
    (folder.with_suffix(".failed")).write_text("".join(f"{lines[number]}\n" for number in failed))


def download_block(start: int, urls: list[str], folder: Path) -> list[int]:
    """Save the images of a block; the numbers of those that failed."""
    failed = []
    for number, url in enumerate(urls, start):
        try:
            answer = requests.get(url, timeout=TIMEOUT)
            answer.raise_for_status()
            Image.open(BytesIO(answer.content)).load()
            (folder / f"{number:07d}.jpg").write_bytes(answer.content)
        except (requests.RequestException, OSError):
            failed.append(number)
    return failed


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
