"""Lists from an S3 store and exports to it, through s3fs, against moto's server."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pictures
import pytest
from jobs import make_job, tree
from moto.server import ThreadedMotoServer

import runner
from runner.errors import ListError
from runner.sources.reading import rows

PHOTOS = [pictures.encode(pictures.photo(seed, (200, 150))) for seed in range(3)]


@pytest.fixture(scope="module")
def store() -> Iterator[Any]:
    """The file system of a store with a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment.setenv(name, "anything")
        files = fsspec.filesystem("s3")
        files.mkdir("bucket")
        yield files
        files.clear_instance_cache()
    server.stop()


@pytest.fixture
def job(tmp_path: Path) -> runner.Job:
    return make_job(tmp_path / "job", [[(body, {}) for body in PHOTOS[:2]], [(PHOTOS[2], {})]])


def urls(name: str) -> list[str]:
    return [row.url for row in rows([name]) if row]


def objects(files: Any, folder: str) -> dict[str, bytes]:
    files.invalidate_cache()
    return {name.removeprefix(f"{folder}/"): files.cat_file(name) for name in files.find(folder)}


def times(files: Any, folder: str) -> dict[str, Any]:
    """When each image, or tar of images, was sent."""
    files.invalidate_cache()
    found = files.find(folder, detail=True)
    return {name: info["LastModified"] for name, info in found.items() if name.endswith(("jpg", "tar"))}


def test_a_list_a_folder_and_a_pattern(store: Any) -> None:
    many = [f"http://a.example/{number}" for number in range(60_000)]
    store.pipe_file("bucket/lists/a.txt", "\n".join(many).encode())  # more than is read at a time
    store.pipe_file("bucket/lists/b.csv.gz", gzip.compress(b"url,x\nhttp://b/1,y\n"))
    store.pipe_file("bucket/lists/deeper/c.txt", b"http://c/1\n")

    assert urls("s3://bucket/lists/a.txt") == many
    assert urls("s3://bucket/lists") == [*many, "http://b/1"]
    assert urls("s3://bucket/lists/**/*.txt")[-1] == "http://c/1"


def test_a_list_that_is_not_there(store: Any) -> None:
    with pytest.raises(ListError, match=r"there is no list s3://bucket/no\.txt: check the name"):
        urls("s3://bucket/no.txt")
    with pytest.raises(ListError, match=r"cannot read the list s3://nowhere/a\.txt: .*bucket does not exist"):
        urls("s3://nowhere/a.txt")


@pytest.mark.parametrize(("kind", "workers"), [("folder", 1), ("webdataset", 0)])
def test_what_is_sent_is_what_a_folder_would_hold(
    store: Any, job: runner.Job, tmp_path: Path, kind: str, workers: int
) -> None:
    url = f"s3://bucket/{kind}"
    options = {"format": kind, "min_side": 0}
    sent = job.export(url, workers=workers, **options).exported
    before = times(store, f"bucket/{kind}")

    assert sent == job.export(tmp_path / "here", workers=0, **options).exported
    assert objects(store, f"bucket/{kind}") == tree(tmp_path / "here")

    job.export(url, workers=workers, **options)
    assert times(store, f"bucket/{kind}") == before

    options["max_bytes"] = max(map(len, PHOTOS)) - 1
    assert job.export(url, workers=workers, **options).exported.removed == 1
    job.export(tmp_path / "here", workers=0, **options)
    assert objects(store, f"bucket/{kind}") == tree(tmp_path / "here")
