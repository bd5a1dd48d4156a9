"""What a fingerprint says: the pHash of the image as displayed, and a reason for every file that is none."""

import contextlib
import hashlib
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import struct
import zlib
from io import BytesIO
from pathlib import Path

import imagehash
import numpy as np
import pytest
from jobs import make_job
from pictures import (
    animation,
    encode,
    photo,
    png_chunk,
    png_claiming,
    sixteen_bit,
    solid,
    text_line,
    with_alpha,
    with_orientation,
)
from PIL import Image

import runner
from runner import examiner
from runner.choice import MIN_CONTRAST, MIN_LEVELS, RECORD
from runner.engine.checkpoint import Checkpoint
from runner.engine.items import DONE, Item, Key, Mark, Result
from runner.engine.shardfile import ShardFile
from runner.errors import StoreError, UsageError
from runner.examiner import fingerprint
from runner.fingerprint import Fingerprint
from runner.hashing import HashStage
from runner.imaging import (
    FORMATS,
    REASONS,
    Undecodable,
    displayed,
    open_image,
    orientation,
)
from runner.recipes import RECIPES, Recipe, described, recipe_of

PICTURE = photo(7)


def reference(data: bytes) -> str:
    """What a user of imagehash gets."""
    return str(imagehash.phash(Image.open(BytesIO(data))))


def phash(data: bytes) -> str:
    return fingerprint(data).phash.hex()


def bits_apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(fingerprint(one).phash) ^ int.from_bytes(fingerprint(other).phash)).bit_count()


def on_white(image: Image.Image) -> Image.Image:
    """Alpha over white, computed another way."""
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


# --- known answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "known"),
    [
        (encode(photo(1), "PNG"), "f982e85a1bb6405f"),
        (encode(photo(7), "PNG"), "ca7b69c30fa55518"),
        (encode(solid("black"), "PNG"), "0000000000000000"),
        (encode(solid("red"), "PNG"), "8000000000000000"),
    ],
)
def test_known_answers(data: bytes, known: str) -> None:
    assert phash(data) == known


def test_every_field() -> None:
    data = encode(PICTURE, "PNG")
    found = fingerprint(data)
    luma = np.asarray(PICTURE.convert("L").resize((32, 32), Image.Resampling.LANCZOS))
    assert found == Fingerprint(
        sha256=hashlib.sha256(data).digest(),
        size=len(data),
        width=192,
        height=144,
        format="PNG",
        mode="RGB",
        orientation=1,
        phash=bytes.fromhex(reference(data)),
        contrast=float(luma.std()),
        levels=len(set(luma.ravel().tolist())),
    )


# --- equality with imagehash -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_equals_imagehash(kind: str) -> None:
    data = encode(PICTURE, kind)
    assert phash(data) == reference(data)
    assert fingerprint(data).format == kind


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("seed", range(5))
def test_jpegs_of_any_mode_equal_imagehash(mode: str, seed: int) -> None:
    data = encode(photo(seed, (150 + seed, 97)).convert(mode), quality=75)
    assert phash(data) == reference(data)
    assert fingerprint(data).mode == mode


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "CMYK", "YCbCr", "F", "I"])
def test_tiffs_of_any_mode_equal_imagehash(mode: str) -> None:
    data = encode(PICTURE.convert(mode), "TIFF")
    assert phash(data) == reference(data)


def test_palette_and_opaque_alpha_equal_imagehash() -> None:
    for image in (PICTURE.quantize(40), PICTURE.convert("RGBA"), PICTURE.convert("LA")):
        data = encode(image, "PNG")
        assert phash(data) == reference(data)


def test_progressive_and_subsampled_jpegs_equal_imagehash() -> None:
    for options in ({"progressive": True}, {"subsampling": 0}, {"quality": 20}):
        data = encode(PICTURE, **options)
        assert phash(data) == reference(data)


def test_an_mpo_counts_as_its_first_jpeg() -> None:
    data = encode(PICTURE, "MPO", save_all=True, append_images=[photo(8)])
    assert Image.open(BytesIO(data)).format == "MPO"
    assert fingerprint(data).format == "JPEG"
    assert phash(data) == reference(encode(PICTURE, quality=75))


def test_an_odd_size_and_a_single_pixel() -> None:
    for size in ((1, 1), (3, 500), (31, 33)):
        data = encode(photo(2, size), "PNG")
        assert phash(data) == reference(data)
        assert (fingerprint(data).width, fingerprint(data).height) == size


# --- as displayed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_orientation_equals_the_upright_twin(kind: str, turn: int) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    found = fingerprint(with_orientation(PICTURE, turn, kind, **options))
    assert found.phash.hex() == reference(encode(PICTURE, "PNG"))
    assert (found.width, found.height, found.orientation) == (192, 144, turn)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "AVIF"])
def test_orientation_in_lossy_formats(kind: str, turn: int) -> None:
    data = with_orientation(PICTURE, turn, kind, quality=95)
    assert bits_apart(data, encode(PICTURE, "PNG")) <= 4
    assert fingerprint(data).orientation == turn
    assert displayed(open_image(data)).size == (192, 144)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")  # by Image.open in the reference
def test_senseless_exif_is_no_orientation() -> None:
    for exif in (b"Exif\0\0nonsense", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"):
        data = encode(PICTURE, exif=exif)
        assert fingerprint(data).orientation == 1
        assert phash(data) == reference(data)
    for turn in (0, 9, 65535):
        exif = Image.Exif()
        exif[0x0112] = turn
        assert orientation(open_image(encode(PICTURE, exif=exif))) == 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_over_white(kind: str) -> None:
    layered = with_alpha(PICTURE, 90)
    expected = on_white(layered)
    shown = displayed(open_image(encode(layered, kind)))
    assert np.abs(np.asarray(shown).astype(int) - np.asarray(expected)).max() <= 1
    assert shown.mode == "RGB"
    assert phash(encode(layered, kind)) == phash(encode(shown, "PNG")) != phash(encode(PICTURE, "PNG"))


def test_a_drawing_on_nothing_is_not_black() -> None:
    """convert("L") alone would drop the alpha, and every such drawing would be one black image."""
    alpha = PICTURE.convert("L")
    drawing = Image.new("RGBA", PICTURE.size, "black")
    drawing.putalpha(alpha)
    assert reference(encode(drawing, "PNG")) == "0000000000000000"
    assert phash(encode(drawing, "PNG")) == reference(encode(on_white(drawing), "PNG"))


def test_transparent_palettes_and_colour_keys_are_white() -> None:
    palette = PICTURE.quantize(16)
    index = palette.getpixel((0, 0))
    for kind in ("GIF", "PNG"):
        shown = displayed(open_image(encode(palette, kind, transparency=index)))
        assert shown.getpixel((0, 0)) == (255, 255, 255)
    alphas = bytes([0] * 8 + [255] * 8)
    data = encode(palette, "PNG", transparency=alphas)
    assert displayed(open_image(data)).tobytes() == on_white(Image.open(BytesIO(data))).tobytes()
    for image, key in ((solid("#102030"), (16, 32, 48)), (solid("#101010").convert("L"), 16)):
        white = 255 if image.mode == "L" else (255, 255, 255)
        assert displayed(open_image(encode(image, "PNG", transparency=key))).getpixel((3, 3)) == white


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_equal_the_eight_bit_twin(kind: str) -> None:
    data = encode(sixteen_bit(PICTURE), kind)
    assert fingerprint(data).mode.startswith("I;16")
    assert displayed(open_image(data)).tobytes() == PICTURE.convert("L").tobytes()
    assert phash(data) == phash(encode(PICTURE.convert("L"), "PNG")) != reference(data)


def test_big_endian_sixteen_bit_tiff() -> None:
    grey = np.asarray(PICTURE.convert("L")).astype(np.uint16) << 8
    data = encode(Image.frombytes("I;16B", PICTURE.size, grey.astype(">u2").tobytes()), "TIFF")
    assert phash(data) == phash(encode(PICTURE.convert("L"), "PNG"))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_only_the_first_frame_counts(kind: str) -> None:
    data = animation([PICTURE, photo(8), photo(9)], kind)
    assert bits_apart(data, encode(PICTURE, "PNG")) <= 4 < bits_apart(data, encode(photo(8), "PNG"))


def test_displayed_of_a_plain_image_is_that_image() -> None:
    image = open_image(encode(PICTURE))
    assert displayed(image) is image


def test_the_colour_profile_stays_only_where_it_fits() -> None:
    profile = b"p" * 200
    assert displayed(open_image(encode(with_alpha(PICTURE), "PNG", icc_profile=profile))).info == {
        "icc_profile": profile
    }
    cmyk = encode(PICTURE.convert("CMYK"), icc_profile=profile)
    assert "icc_profile" not in displayed(open_image(cmyk)).info


def test_detail_separates_photographs_from_placeholders() -> None:
    for seed in range(20):
        found = fingerprint(encode(photo(seed)))
        assert found.contrast > MIN_CONTRAST
        assert found.levels > MIN_LEVELS
    for text in ("404", "Error", "image not available"):
        found = fingerprint(encode(text_line(text)))
        assert found.contrast < MIN_CONTRAST or found.levels < MIN_LEVELS


# --- hostile bytes ---------------------------------------------------------------------------------------


def text_bomb() -> bytes:
    """A PNG of 300 KB with 200 MB of text in it."""
    chunk = png_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000), 9))
    return png_claiming(100, 100, *[chunk] * 200)


def gif_frame_bomb() -> bytes:
    """A screen of one pixel, a frame of 65,535 x 65,535."""
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0)
    return screen + frame + b"\x02\x02\x44\x01\x00;"


def bmp_header(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)


HOSTILE = {
    "empty": (b"", "format"),
    "text": (b"<html>not found</html>", "format"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "format"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "format"),
    "icon": (encode(PICTURE, "ICO"), "format"),
    "jpeg 2000": (encode(PICTURE, "JPEG2000"), "format"),
    "jpeg head": (b"\xff\xd8\xff\xe0", "broken"),
    "bmp head": (b"BM" + b"x" * 60, "truncated"),
    "half a jpeg": (encode(PICTURE)[:4000], "truncated"),
    "half a png": (encode(PICTURE, "PNG")[:9000], "truncated"),
    "half a gif": (encode(PICTURE, "GIF")[:4000], "truncated"),
    "half a webp": (encode(PICTURE, "WEBP")[:9000], "broken"),
    "half a tiff": (encode(PICTURE, "TIFF")[:9000], "truncated"),
    "half an avif": (encode(PICTURE, "AVIF")[:900], "broken"),
    "no pixels": (png_claiming(0, 5), "broken"),
    "png of 2^31 pixels": (png_claiming(46341, 46341), "too_large"),
    "png of 100 megapixels": (png_claiming(10000, 10000), "too_large"),
    "png of 2^31 - 1 columns": (png_claiming(2**31 - 1, 1), "too_large"),
    "thread-like png": (png_claiming(80_000, 1), "too_large"),
    "bmp of 2^31 pixels": (bmp_header(46341, 46341), "too_large"),
    "gif whose frame is larger than its screen": (gif_frame_bomb(), "too_large"),
    "text bomb": (text_bomb(), "broken"),
}


@pytest.mark.filterwarnings("error")  # none may reach the user's terminal
@pytest.mark.parametrize(("data", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_bytes_end_as_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(Undecodable) as caught:
        fingerprint(data)
    assert caught.value.reason == reason
    assert reason in REASONS
    assert str(caught.value).startswith(reason)


def refuse_all(answer: "multiprocessing.queues.Queue[tuple[float, int]]") -> None:
    fingerprint(encode(PICTURE))  # whatever is loaded on first use is no memory of a bomb
    before = resource.getrusage(resource.RUSAGE_SELF)
    for data, _ in HOSTILE.values():
        with contextlib.suppress(Undecodable):
            fingerprint(data)
    after = resource.getrusage(resource.RUSAGE_SELF)
    answer.put((after.ru_utime - before.ru_utime, (after.ru_maxrss - before.ru_maxrss) * 1024))


def test_bombs_cost_neither_time_nor_memory() -> None:
    """All of them together: less than a second of processor time and 100 MB."""
    context = multiprocessing.get_context("spawn")
    answer: multiprocessing.queues.Queue[tuple[float, int]] = context.Queue()
    process = context.Process(target=refuse_all, args=(answer,))
    process.start()
    seconds, peak = answer.get(timeout=60)
    process.join()
    assert seconds < 1
    assert peak < 100e6


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_files_never_raise_anything_else(kind: str) -> None:
    random = np.random.default_rng(len(kind))
    whole = encode(photo(3, (40, 30)), kind)
    for _ in range(60):
        damaged = bytearray(whole)
        for at in random.integers(0, len(whole), 3):
            damaged[at] = random.integers(256)
        with contextlib.suppress(Undecodable):
            fingerprint(bytes(damaged[: random.integers(1, len(whole) + 1)]))


# --- the record and the stage ----------------------------------------------------------------------------


@pytest.mark.parametrize("data", [encode(PICTURE), encode(sixteen_bit(PICTURE), "PNG")])
def test_a_record_comes_back_and_numpy_reads_it(data: bytes) -> None:
    found = fingerprint(data)
    packed = found.pack()
    assert Fingerprint.unpack(packed) == found
    row = np.frombuffer(packed, dtype=RECORD)[0]
    assert int(row["phash"]).to_bytes(8) == found.phash
    assert row["sha256"].astype(">u8").tobytes() == found.sha256
    assert (row["width"], row["height"], row["size"]) == (found.width, found.height, found.size)
    assert (row["contrast"], row["levels"]) == (found.contrast, found.levels)
    assert (row["format"].decode(), row["mode"].decode()) == (found.format, found.mode)


def stored(folder: Path, payloads: dict[int, bytes]) -> HashStage:
    batches = folder / "batches"
    batches.mkdir()
    with ShardFile(batches / "00003.lmdb") as file:
        file.append(Result(Key(3, index), Mark(DONE), data) for index, data in payloads.items())
    return HashStage(batches, folder / "hashes")


def test_stage_reads_and_describes_what_is_stored(tmp_path: Path) -> None:
    stage = pickle.loads(pickle.dumps(stored(tmp_path, {0: encode(PICTURE), 2: b"junk", 5: b"unread"})))
    results = list(stage.process(stage.read(3, [0, 2])))
    record = fingerprint(encode(PICTURE)).pack()
    assert results == [
        Result(Key(3, 0), Mark(DONE, len(encode(PICTURE))), record),
        Result(Key(3, 2), Mark("format", detail=(hashlib.sha256(b"junk").digest(),))),
    ]


def test_equal_bytes_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []

    def counting(data: bytes, sha256: bytes, recipe: Recipe) -> Fingerprint:
        decoded.append(data)
        return fingerprint(data, sha256, recipe)

    monkeypatch.setattr(examiner, "fingerprint", counting)
    examiner.examined.cache_clear()
    one, other, junk = encode(PICTURE), encode(photo(8)), b"junk"
    stage = stored(tmp_path, dict(enumerate([one, junk, one, other, junk, one])))
    results = list(stage.process(stage.read(3, range(6))))
    assert decoded == [one, junk, other]
    assert [result.key.index for result in results if result] == list(range(6))
    assert len({result.payload for result in results if result}) == 3


def test_stage_passes_on_that_there_is_nothing_just_now(tmp_path: Path) -> None:
    assert list(HashStage(tmp_path, tmp_path).process(iter([None]))) == [None]


def decode_within_limit(batches: Path, answer: "multiprocessing.queues.Queue[list[str]]") -> None:
    stage = HashStage(batches, batches, memory_limit=600 << 20)
    big = Item(Key(0, 0), encode(Image.new("RGB", (9400, 9400)), "PNG", compress_level=1))
    small = Item(Key(0, 1), encode(PICTURE))
    results = stage.process(iter([small, big, small]))
    answer.put([result.mark.outcome for result in results if result is not None])


def test_memory_limit_costs_the_one_image_that_exceeds_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answer: multiprocessing.queues.Queue[list[str]] = context.Queue()
    process = context.Process(target=decode_within_limit, args=(tmp_path, answer))
    process.start()
    assert answer.get(timeout=60) == [DONE, "memory", DONE]
    process.join()


@pytest.mark.parametrize("recipe", RECIPES)
def test_recipe_names_what_the_hash_depends_on(recipe: Recipe) -> None:
    text = described(recipe)
    assert all(name in text for name in (b"imagehash", b"pillow", b"scipy", b"libjpeg-turbo"))
    assert recipe_of(text) == recipe_of(text.replace(b"imagehash", b"imagehash of old")) == recipe


def test_the_recipe_is_exact_where_nobody_has_chosen() -> None:
    assert recipe_of(None) == recipe_of(b"of a later version") == "exact"


LARGE = photo(7, (800, 600))


def bits(one: Fingerprint, other: Fingerprint) -> int:
    return (int.from_bytes(one.phash) ^ int.from_bytes(other.phash)).bit_count()


@pytest.mark.parametrize(
    "data",
    [
        *(encode(LARGE.resize(size), quality=90) for size in [(800, 600), (650, 391), (200, 1900), (97, 95)]),
        *(with_orientation(LARGE, turn, "JPEG", quality=90) for turn in range(1, 9)),
        encode(LARGE.convert("L"), quality=90),
        encode(LARGE, quality=90, progressive=True),
        animation([LARGE, LARGE.rotate(90)], "MPO"),
    ],
)
def test_fast_tells_of_a_jpeg_what_exact_tells_but_for_some_bits(data: bytes) -> None:
    exact, fast = fingerprint(data), fingerprint(data, recipe="fast")
    assert bits(exact, fast) <= 6
    assert abs(exact.contrast - fast.contrast) < 2
    hashed = {"phash", "contrast", "levels"}
    same = [name for name in Fingerprint._fields if name not in hashed]
    assert [getattr(fast, name) for name in same] == [getattr(exact, name) for name in same]


@pytest.mark.parametrize(
    "data",
    [
        encode(LARGE.convert("CMYK"), quality=90),
        *(encode(LARGE, kind) for kind in ("PNG", "WEBP", "GIF", "BMP")),
    ],
)
def test_fast_is_exact_for_what_is_no_plain_jpeg(data: bytes) -> None:
    assert fingerprint(data, recipe="fast") == fingerprint(data)


@pytest.mark.parametrize("data", [encode(LARGE)[:5000], encode(LARGE)[:200], b"\xff\xd8\xff" + bytes(500)])
def test_fast_refuses_what_exact_refuses(data: bytes) -> None:
    reasons = []
    for recipe in RECIPES:
        with pytest.raises(Undecodable) as refused:
            fingerprint(data, recipe=recipe)
        reasons.append(refused.value.reason)
    assert len(set(reasons)) == 1


def test_copies_of_a_photograph_are_as_near_by_the_fast_recipe() -> None:
    copies = [encode(LARGE, quality=q) for q in (95, 70, 30)] + [encode(LARGE.resize((400, 300)), quality=90)]
    prints = [fingerprint(copy, recipe="fast") for copy in copies]
    assert max(bits(prints[0], other) for other in prints) <= 4
    assert bits(prints[0], fingerprint(encode(photo(8, (800, 600))), recipe="fast")) > 8


def hashes(job: runner.Job) -> list[str]:
    return [str(item.to_json()["phash"]) for item in job.items()]


def noise_job(folder: Path) -> tuple[runner.Job, dict[Recipe, list[str]]]:
    """A job of two shards and the hashes that each recipe makes of it: other ones, unlike of photographs."""
    random = np.random.default_rng(0)
    bodies = [encode(Image.fromarray(random.integers(0, 256, (400, 600), np.uint8))) for _ in range(4)]
    job = make_job(folder, [[(body, {}) for body in bodies[:2]], [(body, {}) for body in bodies[2:]]])
    made = {recipe: [fingerprint(body, recipe=recipe).phash.hex() for body in bodies] for recipe in RECIPES}
    assert made["exact"] != made["fast"]
    return job, made


def test_a_job_keeps_to_its_recipe_until_another_is_named(tmp_path: Path) -> None:
    job, made = noise_job(tmp_path / "job")
    asked_and_had: list[tuple[Recipe | None, Recipe]]
    asked_and_had = [("fast", "fast"), (None, "fast"), ("exact", "exact"), (None, "exact")]
    for asked, had in asked_and_had:
        job.hash(workers=0, recipe=asked)
        assert hashes(job) == made[had]
        assert len(runner.Images(job)) == 4
    job.export(tmp_path / "out", workers=0, recipe="fast")
    job.export(tmp_path / "out", workers=0)
    assert hashes(job) == made["fast"]
    assert not list(job.verify())


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_of_the_second_shard(checkpoint: Checkpoint, stage: str, keys: list[Key]) -> None:
    if keys[0].shard == 1:
        die()
    forget(checkpoint, stage, keys)


def die_half_way(folder: Path, ignore_errors: bool = False) -> None:
    if folder.name == "hashes":
        (folder / "00000.lmdb").unlink()
        die()


forget = Checkpoint.forget
DEATHS: dict[str, tuple[object, str, object]] = {
    "marks": (Checkpoint, "forget", die_of_the_second_shard),
    "files": (shutil, "rmtree", die_half_way),
    "note": (Checkpoint, "set_note", die),
}


def hash_fast_until_killed(folder: Path, death: str) -> None:
    setattr(*DEATHS[death])
    runner.Job.open(folder).hash(workers=0, recipe="fast")


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize(("asked", "had"), [(None, "exact"), ("fast", "fast")])
def test_recipes_do_not_mix_when_a_change_is_killed(
    tmp_path: Path, death: str, asked: Recipe | None, had: Recipe
) -> None:
    job, made = noise_job(tmp_path / "job")
    job.hash(workers=0)
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=hash_fast_until_killed, args=(job.folder.path, death))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    job.hash(workers=0, recipe=asked)
    assert hashes(job) == made[had]
    assert not list(job.verify())


def test_a_recipe_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", [[(encode(PICTURE), {})]])
    with pytest.raises(UsageError, match="choose exact or fast"):
        job.hash(recipe="faster")


def test_hashes_that_cannot_be_deleted_do_not_pass_for_another_recipe(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", [[(encode(PICTURE), {})]])
    job.folder.hashes.write_bytes(b"no folder")
    with pytest.raises(StoreError, match=r"Cannot delete .*hashes.*run this again"):
        job.hash(workers=0, recipe="fast")
    job.folder.hashes.unlink()
    job.hash(workers=0, recipe="fast")
    assert hashes(job) == [fingerprint(encode(PICTURE), recipe="fast").phash.hex()]
