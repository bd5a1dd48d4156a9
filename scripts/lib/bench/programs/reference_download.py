"""The limit to come close to: a bare libcurl-multi loop in Python, images to LMDB in synced batches of 128.

``python reference_download.py LIST [FOLDER]``; without a folder images are thrown away. No
retries, checks, marks or resume: what is left out here is what a job runner adds.
"""

import multiprocessing
import sys
from collections import deque
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import lmdb
import pycurl

PROCESSES = 2
CONNECTIONS = 64  # for each process
BATCH = 128
MAP_BYTES = 64 << 30  # sparse
BUFFER_BYTES = 128 << 10

Image = tuple[bytes, bytes]


def main(urls: Path, folder: Path | None = None) -> int:
    lines = urls.read_text().split()
    if folder is not None:
        folder.mkdir(parents=True)
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=download, args=(lines[k::PROCESSES], folder and folder / f"{k}.lmdb"))
        for k in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return int(any(worker.exitcode for worker in workers))


def download(urls: list[str], file: Path | None) -> None:
    images = fetch(urls)
    if file is None:
        deque(images, maxlen=0)
        return
    with lmdb.open(str(file), subdir=False, map_size=MAP_BYTES, lib_version=0) as store:
        while batch := list(islice(images, BATCH)):
            with store.begin(write=True) as transaction:
                transaction.cursor().putmulti(sorted(batch))


def fetch(urls: list[str]) -> Iterator[Image]:
    """(number as a key, body) of each URL, as they arrive."""
    multi = pycurl.CurlMulti()
    waiting = iter(enumerate(urls))
    in_flight: dict[pycurl.Curl, tuple[int, list[bytes]]] = {}

    def send(handle: pycurl.Curl) -> None:
        number, url = next(waiting, (0, None))
        if url is not None:
            chunks: list[bytes] = []
            handle.setopt(pycurl.URL, url)
            handle.setopt(pycurl.WRITEFUNCTION, chunks.append)
            in_flight[handle] = number, chunks
            multi.add_handle(handle)

    for _ in range(CONNECTIONS):
        handle = pycurl.Curl()
        handle.setopt(pycurl.BUFFERSIZE, BUFFER_BYTES)
        handle.setopt(pycurl.FAILONERROR, True)
        send(handle)
    while in_flight:
        multi.perform()
        _, finished, failed = multi.info_read()
        if failed:
            raise SystemExit(f"the reference could not fetch an image: {failed[0][2]}")
        for handle in finished:
            number, chunks = in_flight.pop(handle)
            multi.remove_handle(handle)
            send(handle)
            yield number.to_bytes(4, "big"), b"".join(chunks)
        if not finished:
            multi.select(1.0)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
