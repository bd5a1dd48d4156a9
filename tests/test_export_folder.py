"""Files in OUT: names, appearance, removal, and what the disk refuses."""

import resource
from pathlib import Path

import pytest

from runner.engine.items import Key
from runner.errors import DiskFullError, RunnerError
from runner.export.folder import ImageFolder, image_name

KEY = Key(17, 42)

EVERYTHING = range(10_000)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_name_is_made_of_the_key() -> None:
    assert image_name(Key(17, 42), ".jpg") == "00017/000170042.jpg"
    assert image_name(Key(0, 12_345), ".png") == "00000/0000012345.png"
    assert image_name(Key(123_456, 0), ".webp") == "123456/1234560000.webp"


def write(folder: ImageFolder, key: Key, data: bytes) -> None:
    """An image and nothing else, of a shard that is finished."""
    folder.write(key, data)
    folder.publish(key.shard, [key.index])


def test_an_image_is_written_and_found(out: Path) -> None:
    ImageFolder(out).write(KEY, b"12345")
    ImageFolder(out).write(Key(17, 12_345), b"1")
    ImageFolder(out).publish(17, [42, 12_345])

    assert (out / "00017/000170042.jpg").read_bytes() == b"12345"
    assert ImageFolder(out).sizes(17) == {42: 5, 12_345: 1}
    assert ImageFolder(out).sizes(18) == {}


def test_a_new_shard_appears_as_a_whole(out: Path) -> None:
    folder = ImageFolder(out)
    folder.write(Key(17, 1), b"one")
    folder.write(Key(17, 2), b"two")
    assert names(out) == [".00017.part", ".00017.part/000170001.jpg", ".00017.part/000170002.jpg"]
    assert folder.sizes(17) == {1: 3, 2: 3}

    folder.publish(17, [1, 2])
    folder.publish(18, [])

    assert names(out) == ["00017", "00017/000170001.jpg", "00017/000170002.jpg"]
    assert folder.sizes(17) == {1: 3, 2: 3}


def test_an_image_of_a_shard_that_is_there_appears_by_itself(out: Path) -> None:
    folder = ImageFolder(out)
    write(folder, KEY, b"before")

    folder.write(KEY, b"after")
    folder.write(Key(17, 43), b"new")

    assert (out / "00017/000170042.jpg").read_bytes() == b"after"
    assert names(out) == ["00017", "00017/000170042.jpg", "00017/000170043.jpg"]


def test_what_was_not_written_to_the_end_never_appears(out: Path) -> None:
    folder = ImageFolder(out)
    folder.write(Key(17, 1), b"whole")
    folder.write(Key(17, 2), b"half an ima")
    folder.write(Key(17, 3), b"half")
    folder.write(Key(17, 3), b"all")
    ImageFolder(out, ".png").write(Key(17, 1), b"as another run wanted it")

    folder.publish(17, [1, 3])

    assert names(out) == ["00017", "00017/000170001.jpg", "00017/000170003.jpg"]
    assert (out / "00017/000170003.jpg").read_bytes() == b"all"


def test_a_folder_made_by_somebody_meanwhile_takes_the_images_in(out: Path) -> None:
    folder = ImageFolder(out)
    folder.write(Key(17, 1), b"new")
    (out / "00017").mkdir()
    (out / "00017/notes.txt").write_text("mine")
    (out / "00017/000170001.jpg").write_bytes(b"old")
    folder.write(Key(17, 2), b"newer")
    assert folder.sizes(17) == {1: 3, 2: 5}

    folder.publish(17, [1, 2])

    assert names(out / "00017") == ["000170001.jpg", "000170002.jpg", "notes.txt"]
    assert (out / "00017/000170001.jpg").read_bytes() == b"new"
    assert names(out / ".00017.part") == []


def test_what_a_killed_run_left_is_overwritten(out: Path) -> None:
    (out / "00017").mkdir()
    (out / "00017/.000170042.jpg.part").write_bytes(b"half an ima")

    ImageFolder(out).write(KEY, b"whole")

    assert names(out) == ["00017", "00017/000170042.jpg"]


def test_pruning_deletes_images_and_leftovers_and_nothing_else(out: Path) -> None:
    folder = ImageFolder(out)
    (out / "00017").mkdir()
    for index in (1, 2, 3):
        folder.write(Key(17, index), b"x")
    others = [
        "notes.txt",
        "000180001.jpg",
        "00017001.jpg",
        "0001700001.jpg",
        "000170009.gif",
        ".hidden",
        "x.part",
    ]
    for name in [*others, ".000170004.jpg.part"]:
        (out / "00017" / name).write_bytes(b"mine")
    (out / "00017/000170005.jpg").mkdir()

    assert folder.prune(17, {2}, EVERYTHING) == 2

    assert names(out / "00017") == sorted(["000170002.jpg", "000170005.jpg", *others])


def test_images_of_another_suffix_have_no_size_and_go(out: Path) -> None:
    (out / "00017").mkdir()
    for index in (1, 2):
        ImageFolder(out).write(Key(17, index), b"jpeg")
    folder = ImageFolder(out, ".png")
    folder.write(Key(17, 1), b"a png")
    (out / "00017/.000170003.webp.part").write_bytes(b"half")

    assert folder.sizes(17) == {1: 5}
    assert folder.prune(17, {1}, EVERYTHING) == 1, "its jpeg is not an image less"

    assert names(out) == ["00017", "00017/000170001.png"]


def test_an_empty_shard_folder_goes(out: Path) -> None:
    write(ImageFolder(out), KEY, b"x")

    assert ImageFolder(out).prune(17, (), EVERYTHING) == 1
    assert ImageFolder(out).prune(17, (), EVERYTHING) == 0

    assert names(out) == []


def test_a_link_is_not_an_image(out: Path) -> None:
    (out / "elsewhere").write_bytes(b"precious")
    (out / "00017").mkdir()
    (out / "00017/000170042.jpg").symlink_to(out / "elsewhere")

    assert ImageFolder(out).sizes(17) == {}
    ImageFolder(out).write(KEY, b"image")

    assert (out / "elsewhere").read_bytes() == b"precious"
    assert ImageFolder(out).sizes(17) == {42: 5}


# -- what the disk refuses --


def test_a_full_disk_ends_the_run_with_the_remedy(out: Path) -> None:
    (out / "00017").mkdir()
    (out / "00017/.000170042.jpg.part").symlink_to("/dev/full")

    with pytest.raises(DiskFullError, match=r"No room left in .*00017: free some space"):
        ImageFolder(out).write(KEY, b"x")


def test_a_file_larger_than_the_disk_allows_is_no_fault_of_the_image(out: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(RunnerError, match=r"Cannot export to .*: File too large\."):
            ImageFolder(out).write(KEY, bytes(1000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_file_in_place_of_a_shard_folder(out: Path) -> None:
    (out / "00017").write_text("mine")

    for attempt in (ImageFolder(out).sizes, lambda shard: ImageFolder(out).prune(shard, (), EVERYTHING)):
        with pytest.raises(RunnerError, match="Not a directory"):
            attempt(17)
    with pytest.raises(RunnerError, match="Not a directory"):
        ImageFolder(out).write(KEY, b"x")


def test_a_folder_that_vanished_is_not_made_again(out: Path) -> None:
    out.rmdir()

    with pytest.raises(RunnerError, match="No such file or directory"):
        ImageFolder(out).write(KEY, b"x")

    assert not out.exists()
