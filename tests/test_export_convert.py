"""The bytes that an export makes of an image."""

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pictures
import pytest
from PIL import ExifTags, Image, ImageCms

from runner.examiner import fingerprint
from runner.export.convert import Unencodable, render
from runner.export.stage import recipe_for
from runner.export_options import Rendering
from runner.imaging import Undecodable

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# A profile is judged by the colour space that its header names.
GREY = SRGB[:16] + b"GRAY" + SRGB[20:]
INKS = SRGB[:16] + b"CMYK" + SRGB[20:]


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def to_jpeg(data: bytes, quality: int) -> bytes:
    return render(data, fingerprint(data), Rendering(quality=quality))


def is_verbatim(data: bytes) -> bool:
    return recipe_for(fingerprint(data), Rendering()) == "verbatim"


def difference(one: Image.Image, other: Image.Image) -> float:
    """Mean absolute difference of the samples, 0 to 255."""
    assert one.size == other.size
    assert one.mode == other.mode
    return float(np.abs(np.asarray(one, dtype=int) - np.asarray(other, dtype=int)).mean())


def as_jpeg(image: Image.Image, **options: object) -> Image.Image:
    return opened(pictures.encode(image, "JPEG", **options))


def test_only_an_upright_jpeg_is_verbatim() -> None:
    photo = pictures.photo(1)

    assert is_verbatim(pictures.encode(photo))
    assert is_verbatim(pictures.with_orientation(photo, 1, "JPEG"))
    assert not is_verbatim(pictures.with_orientation(photo, 6, "JPEG"))
    assert not is_verbatim(pictures.encode(photo, "PNG"))


def test_an_upright_mpo_is_a_jpeg() -> None:
    stereo = pictures.animation([pictures.photo(1), pictures.photo(2)], "MPO")

    assert opened(stereo).format == "MPO"
    assert is_verbatim(stereo)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_jpeg_becomes_its_upright_twin(orientation: int) -> None:
    photo = pictures.photo(orientation)
    turned = pictures.with_orientation(photo, orientation, "JPEG", quality=100, subsampling=0)

    upright = opened(to_jpeg(turned, 95))

    assert upright.getexif().get(ExifTags.Base.Orientation) is None
    assert difference(upright, photo) < 4
    assert is_verbatim(to_jpeg(turned, 95))


def test_a_turned_jpeg_equals_the_conversion_of_its_upright_pixels() -> None:
    turned = pictures.with_orientation(pictures.photo(3), 6, "JPEG")
    upright = opened(turned).transpose(Image.Transpose.ROTATE_270)

    pixels = opened(to_jpeg(turned, 90))

    assert difference(pixels, as_jpeg(upright, quality=90)) == 0


def test_a_turned_jpeg_keeps_its_other_exif_and_its_profile() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 8
    exif[ExifTags.Base.Copyright] = "A. Photographer"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.LensModel] = "50mm"
    turned = pictures.encode(pictures.photo(4), exif=exif, icc_profile=SRGB)

    upright = opened(to_jpeg(turned, 90))

    assert upright.getexif()[ExifTags.Base.Copyright] == "A. Photographer"
    assert upright.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.LensModel] == "50mm"
    assert upright.info["icc_profile"] == SRGB


def test_a_turned_cmyk_jpeg_keeps_its_inks_and_their_profile() -> None:
    inks = pictures.photo(5).convert("CMYK")
    turned = pictures.with_orientation(inks, 3, "JPEG", quality=95, icc_profile=INKS)

    upright = opened(to_jpeg(turned, 95))

    assert upright.info["icc_profile"] == INKS
    assert difference(upright, inks) < 4


def test_exif_that_cannot_be_written_again_is_dropped_and_the_picture_kept() -> None:
    # The orientation, and a Software tag whose text is stored as a number.
    entries = [(0x0112, 3, 1, 6), (0x0131, 12, 1, 8)]
    ifd = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + ifd + bytes(4)
    turned = pictures.encode(pictures.photo(6, (192, 144)), exif=exif)
    assert fingerprint(turned).orientation == 6

    assert opened(to_jpeg(turned, 90)).size == (144, 192)


def test_alpha_is_laid_over_white() -> None:
    photo = pictures.photo(7)
    layered = pictures.with_alpha(photo, opacity=0)

    flat = opened(to_jpeg(pictures.encode(layered, "PNG"), 95))

    left = np.asarray(flat)[:, : photo.width // 2 - 16]
    right = flat.crop((photo.width // 2 + 16, 0, photo.width, photo.height))
    assert left.min() > 250
    assert difference(right, photo.crop((photo.width // 2 + 16, 0, photo.width, photo.height))) < 5


def test_sixteen_bits_become_eight() -> None:
    photo = pictures.photo(8)

    grey = opened(to_jpeg(pictures.encode(pictures.sixteen_bit(photo), "PNG"), 95))

    assert difference(grey, photo.convert("L")) < 3


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame(kind: str) -> None:
    frames = [pictures.photo(seed) for seed in (9, 10)]

    still = opened(to_jpeg(pictures.animation(frames, kind), 95))

    assert still.format == "JPEG"
    assert difference(still, as_jpeg(frames[0], quality=95)) < 16  # a GIF has 256 colours
    assert difference(still, as_jpeg(frames[1], quality=95)) > 32


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_a_profile_for_the_pixels_is_kept(kind: str) -> None:
    assert (
        opened(to_jpeg(pictures.encode(pictures.photo(11), kind, icc_profile=SRGB), 90)).info["icc_profile"]
        == SRGB
    )


def test_a_profile_for_grey_is_kept_with_grey() -> None:
    grey = pictures.encode(pictures.photo(12).convert("L"), "PNG", icc_profile=GREY)

    assert opened(to_jpeg(grey, 90)).info["icc_profile"] == GREY


@pytest.mark.parametrize(("mode", "profile"), [("CMYK", INKS), ("RGB", GREY), ("RGB", INKS), ("L", SRGB)])
def test_a_profile_for_other_pixels_is_dropped(mode: str, profile: bytes) -> None:
    data = pictures.encode(pictures.photo(13).convert(mode), "TIFF", icc_profile=profile)

    assert "icc_profile" not in opened(to_jpeg(data, 90)).info


def test_an_image_that_never_ends_is_undecodable() -> None:
    with pytest.raises(Undecodable):
        to_jpeg(pictures.encode(pictures.photo(14), "PNG")[:-2000], 90)


def test_a_side_too_long_for_a_jpeg_is_unencodable() -> None:
    with pytest.raises(Unencodable):
        to_jpeg(pictures.encode(Image.new("L", (65_530, 1)), "PNG"), 90)


def test_the_same_bytes_every_time() -> None:
    data = pictures.encode(pictures.with_alpha(pictures.photo(15)), "WEBP")

    assert to_jpeg(data, 80) == to_jpeg(data, 80)
    assert to_jpeg(data, 80) != to_jpeg(data, 81)


# -- resized and in other encodings --


def rendered(data: bytes, **options: Any) -> Image.Image:
    return opened(render(data, fingerprint(data), Rendering(**options)))


def test_a_border_is_white_and_the_picture_in_its_middle() -> None:
    photo = pictures.photo(16, (200, 100))

    page = rendered(pictures.encode(photo, "PNG"), resize="border", size=100, encode="png")

    assert page.size == (100, 100)
    assert np.asarray(page)[:25].min() == np.asarray(page)[75:].min() == 255
    middle = page.crop((0, 25, 100, 75))
    assert difference(middle, photo.resize((100, 50), Image.Resampling.LANCZOS)) == 0


def test_a_center_crop_is_the_middle_of_the_scaled_picture() -> None:
    photo = pictures.photo(17, (200, 100))

    square = rendered(pictures.encode(photo, "PNG"), resize="center_crop", size=50, encode="png")

    scaled = photo.resize((100, 50), Image.Resampling.LANCZOS)
    assert difference(square, scaled.crop((25, 0, 75, 50))) == 0


def test_a_turned_jpeg_is_resized_as_displayed() -> None:
    turned = pictures.with_orientation(pictures.photo(18, (200, 100)), 6, "JPEG")

    small = rendered(turned, resize="keep_ratio_largest", size=50)

    assert small.size == (50, 25)
    assert not small.getexif()


@pytest.mark.parametrize("encode", ["png", "webp"])
def test_another_encoding_keeps_the_profile_and_loses_the_alpha(encode: str) -> None:
    layered = pictures.with_alpha(pictures.photo(19), opacity=0)

    flat = rendered(pictures.encode(layered, "PNG", icc_profile=SRGB), encode=encode)

    assert flat.mode == "RGB"
    assert flat.format == encode.upper()
    assert flat.info["icc_profile"] == SRGB
    assert np.asarray(flat)[:, :80].min() > 240


def test_a_profile_for_grey_does_not_enter_a_webp() -> None:
    grey = pictures.encode(pictures.photo(20).convert("L"), "PNG", icc_profile=GREY)

    assert "icc_profile" not in rendered(grey, encode="webp").info


def test_what_grows_beyond_all_bounds_is_unencodable() -> None:
    thread = pictures.encode(Image.new("L", (60_000, 1)), "PNG")
    for options in ({"resize": "keep_ratio", "size": 500}, {"resize": "border", "size": 60_000}):
        with pytest.raises(Unencodable):
            rendered(thread, **options)


@pytest.mark.parametrize(
    ("data", "options", "recipe"),
    [
        (pictures.encode(pictures.photo(1)), {}, "verbatim"),
        (pictures.encode(pictures.photo(1)), {"resize": "keep_ratio", "size": 144}, "verbatim"),
        (pictures.encode(pictures.photo(1)), {"resize": "border", "size": 192}, "jpg-90 border-192"),
        (pictures.encode(pictures.photo(1)), {"encode": "png"}, "png"),
        (pictures.encode(pictures.photo(1), "PNG"), {"encode": "png"}, "verbatim"),
        (pictures.encode(pictures.with_alpha(pictures.photo(1)), "PNG"), {"encode": "png"}, "png"),
        (pictures.encode(pictures.photo(1), "WEBP"), {"encode": "webp", "quality": 5}, "verbatim"),
        (pictures.encode(pictures.photo(1), "PNG"), {"encode": "webp", "quality": 5}, "webp-5"),
    ],
)
def test_the_recipe_says_what_is_done(data: bytes, options: dict[str, Any], recipe: str) -> None:
    assert recipe_for(fingerprint(data), Rendering(**options)) == recipe
