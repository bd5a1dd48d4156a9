"""``metadata.jsonl``: one JSON object per exported image, in item order.

It is what the Hugging Face ``imagefolder`` loader reads. A column of the URL list keeps its name unless
that name is one of ours or means something to the loader (``image``, ``*file_name``, ``*file_names``):
then it is called ``NAME_in_list``.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..columns import merge
from ..engine.items import Key
from ..fingerprint import Fingerprint
from ..manifest import Row
from ..options import Rendering
from .folder import disk_errors, image_name, temporary

_LOADERS_OWN = ("file_name", "file_names")

Line = dict[str, Any]


def describe(key: Key, row: Row, fingerprint: Fingerprint, duplicates: int, rendering: Rendering) -> Line:
    """The line of one image: ``width`` and ``height`` of the file, ``sha256`` of the bytes as served."""
    width, height = rendering.written(fingerprint.width, fingerprint.height)
    line: Line = {
        "file_name": image_name(key, rendering.suffix),
        "url": row.url,
        "width": width,
        "height": height,
        "sha256": fingerprint.sha256.hex(),
        "phash": fingerprint.phash.hex(),
        "shard": key.shard,
        "index": key.index,
        "duplicates": duplicates,
    }
    return merge(line, row.columns, ("image",), lambda name: name.endswith(_LOADERS_OWN))


def write_metadata(path: Path, lines: Iterable[Line]) -> None:
    """Write the file, streaming; it appears by rename when it is complete and on disk."""
    part = temporary(path)
    with disk_errors(path.parent), part.open("wb") as file:
        for line in lines:
            # Half a surrogate pair is no UTF-8 and would keep loaders from reading the whole file: "?".
            text = json.dumps(line, ensure_ascii=False) + "\n"
            file.write(text.encode("utf-8", "replace"))
        file.flush()
        os.fsync(file.fileno())
    with disk_errors(path.parent):
        part.replace(path)
