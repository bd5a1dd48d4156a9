"""How hashes are made: exactly, or fast. Hashes of different recipes must not be compared."""

from typing import Literal

from .errors import UsageError

Recipe = Literal["exact", "fast"]

# What a recipe does, in short: part of what a job remembers, so another text means other hashes.
_STEPS = {
    "exact": "displayed(first frame, exif, white, 8 bit) L lanczos32 phash8",
    "fast": "jpeg luma shrunk to 60 or more; displayed(first frame, exif, white, 8 bit) L lanczos32 phash8",
}
RECIPES = tuple(_STEPS)


def check_recipe(recipe: str | None) -> None:
    """Raise UsageError for one that does not exist; None is for whoever has no wish."""
    if recipe is not None and recipe not in RECIPES:
        raise UsageError(f"No recipe is called {recipe!r}: choose {' or '.join(RECIPES)}.")


def described(recipe: Recipe) -> bytes:
    """The steps of a recipe and the versions of what takes them.

    Another JPEG decoder or another resize changes a bit of some hashes.
    """
    from importlib.metadata import version

    from PIL import features

    libraries = [f"{name} {version(name)}" for name in ("imagehash", "pillow", "scipy")]
    libraries.append(f"libjpeg-turbo {features.version('libjpeg_turbo')}")
    return "; ".join([_STEPS[recipe], *libraries]).encode()


def recipe_of(description: bytes | None) -> Recipe:
    """The recipe of hashes that are so described, by whatever versions; exact where there are none."""
    fast = description is not None and description.startswith(_STEPS["fast"].encode())
    return "fast" if fast else "exact"
