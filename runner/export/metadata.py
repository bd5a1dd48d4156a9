"""``metadata.jsonl``: one JSON object per exported image, in item order.

It is what the Hugging Face ``imagefolder`` loader reads. A column of the URL list keeps its name unless
that name is one of ours or means something to the loader (``image``, ``*file_name``, ``*file_names``):
then it is called ``NAME_in_list``. ``repeats`` has the columns of further rows with the same URL, where
there are any that differ.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..columns import merge
from ..engine.items import Key
from ..export_options import Rendering
from ..fingerprint import Fingerprint
from ..manifest import Row
from ..repeats import Lists
from .folder import METADATA, image_name
from .output import Output

REPEATS = "repeats"
_encode = json.JSONEncoder(ensure_ascii=False).encode
_LOADERS_OWN = ("file_name", "file_names")

OWN_COLUMNS: dict[str, type] = {
    "file_name": str,
    "url": str,
    "width": int,
    "height": int,
    "sha256": str,
    "phash": str,
    "shard": int,
    "index": int,
    "duplicates": int,
}
"""What every image has, in this order."""

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
    return line | carried(row.columns)


def carried(columns: Line) -> Line:
    """The columns of a list, under the names that they have in an export."""
    if not columns:
        return {}
    line = merge(
        dict.fromkeys(OWN_COLUMNS), columns, ("image", REPEATS), lambda name: name.endswith(_LOADERS_OWN)
    )
    return {name: line[name] for name in line if name not in OWN_COLUMNS}


def describe_shard(
    lists: Lists,
    shard: int,
    found: Mapping[int, Fingerprint],
    members: Mapping[int, int],
    rendering: Rendering,
) -> Iterator[Line]:
    """The lines of those images of a shard of which ``found`` tells, ascending.

    ``members`` tells how many others each stands for.
    """
    rows = lists.rows(shard, list(found))
    for (index, fingerprint), (row, repeats) in zip(found.items(), rows, strict=True):
        line = describe(Key(shard, index), row, fingerprint, members[index], rendering)
        yield line | {REPEATS: list(map(carried, repeats))} if repeats else line


def write_metadata(out: Output, lines: Iterable[Line]) -> None:
    """Write the file, streaming; it appears when it is complete and on disk."""
    with out.draft(METADATA) as draft:
        for line in lines:
            draft.file.write(as_json(line) + b"\n")
        draft.publish()


def as_json(line: Line) -> bytes:
    """One line of text. Half a surrogate pair is no UTF-8 and would keep loaders from reading it all: "?"."""
    return _encode(line).encode("utf-8", "replace")
