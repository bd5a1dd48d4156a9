"""What `dups` tells: every kept image with those that it stands for."""

from collections.abc import Iterable
from pathlib import Path

import pytest
from pictures import encode, photo, solid

from runner import clusters, dedup
from runner.clusters import Cluster, list_clusters
from runner.config import JobConfig
from runner.engine.items import DONE, Key, Mark, Result
from runner.engine.shardfile import ShardFile, shard_file
from runner.examiner import fingerprint
from runner.export_options import Filters, Selection
from runner.job import JobFolder

COARSE = encode(photo(1), quality=30)
BODIES = [
    *(encode(photo(1, (96, 72))), encode(photo(2)), encode(solid("red")), COARSE, encode(photo(1))),
    *(encode(photo(3)), encode(solid("red")), COARSE, encode(photo(2), quality=40)),
]


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    """A job of three shards, hashed."""
    urls = tmp_path / "urls.txt"
    urls.write_text("".join(f"http://a.example/{number}\n" for number in range(len(BODIES))))
    folder = JobFolder.create(tmp_path / "job", [str(urls)], JobConfig.from_options(shard_size=4))
    folder.hashes.mkdir()
    for start in range(0, len(BODIES), 4):
        with ShardFile(shard_file(folder.hashes, start // 4)) as file:
            prints = [fingerprint(body).pack() for body in BODIES[start : start + 4]]
            file.append(Result(Key(start // 4, i), Mark(DONE), record) for i, record in enumerate(prints))
    return folder


def listed(folder: JobFolder, selection: Selection) -> list[Cluster]:
    choice, _ = dedup.preview(folder.hashes, folder.dedup, selection, shards=[0, 1, 2])
    return list(list_clusters(folder, choice))


def numbers(found: Iterable[Cluster]) -> list[list[int]]:
    return [[m.shard * 4 + m.index for m in (c.representative, *c.members)] for c in found]


def test_the_largest_cluster_first_and_the_nearest_member_first(folder: JobFolder) -> None:
    found = listed(folder, Selection(filters=Filters(min_side=0)))

    assert [group[0] for group in numbers(found)] == [3, 1, 2], "by size, then in item order"
    assert [sorted(group) for group in numbers(found)] == [[0, 3, 4, 7], [1, 8], [2, 6]]
    for cluster in found:
        distances = [member.distance for member in cluster.members]
        assert distances == sorted(distances)
    assert found[0].members[0].distance == 0, "the one of equal bytes"


def test_a_member_is_fully_described(folder: JobFolder) -> None:
    (cluster,) = listed(folder, Selection("bytes", filters=Filters(formats=("jpeg",), max_side=180)))

    assert cluster.to_json() == {
        "representative": {
            "shard": 0,
            "index": 2,
            "url": "http://a.example/2",
            "distance": 0,
            "width": 160,
            "height": 120,
            "format": "JPEG",
            "bytes": len(BODIES[2]),
        },
        "members": [cluster.to_json()["representative"] | {"shard": 1, "url": "http://a.example/6"}],
    }


def test_looked_up_in_parts_it_is_the_same(folder: JobFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = listed(folder, Selection())
    monkeypatch.setattr(clusters, "IMAGES_AT_ONCE", 1)
    assert listed(folder, Selection()) == whole


def test_without_duplicates_there_is_nothing_to_tell(folder: JobFolder) -> None:
    assert listed(folder, Selection("none")) == []
