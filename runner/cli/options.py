"""Options that several commands have, or that belong together; defaults are those of the option classes."""

import argparse
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from ..config import CHANGEABLE, JobConfig
from ..export_options import (
    ENCODINGS,
    EXPORT_FORMATS,
    IMAGE_FORMATS,
    POLICIES,
    RESIZES,
    ExportOptions,
    Filters,
    Rendering,
    Selection,
)
from ..fetch.options import TRANSPORTS, FetchOptions
from ..recipes import RECIPES
from ..sources.options import FORMATS as LIST_FORMATS
from ..sources.options import ListOptions
from . import values

_SETTINGS = JobConfig().options().keys()

# Flag, type, metavar, help; the default is that of the field of this name in one of the option classes.
Rows = tuple[tuple[str, Callable[[str], object], str, str], ...]

_START_NUMBERS: Rows = (
    ("--shard-size", int, "N", "URLs per shard"),
    ("--connections", int, "N", "connections per worker"),
    ("--timeout", float, "SECONDS", "in total, per attempt"),
    ("--connect-timeout", float, "SECONDS", "for the connection alone"),
    ("--retries", int, "N", "attempts after a failure that may pass"),
    ("--max-wait", float, "SECONDS", "longest Retry-After to wait for"),
    ("--max-bytes", values.size, "SIZE", "largest image, such as 50MB or 1GiB"),
    ("--per-host", int, "N", "most requests to one host at a time, over all workers; 0 finds out by itself"),
    ("--rate", values.rate, "N/s", "most requests to one host, over all workers: 5/s, 30/m; 0: no limit"),
)
_FILTERS: Rows = (
    ("--min-side", int, "PIXELS", "at least, of the shorter side"),
    ("--max-side", int, "PIXELS", "at most, of the longer side"),
    ("--min-area", int, "PIXELS", "at least, width times height"),
    ("--max-area", int, "PIXELS", "at most, width times height"),
    ("--max-aspect", float, "RATIO", "at most, longer by shorter side"),
    ("--formats", values.formats, "KIND,...", f"only these, of {', '.join(IMAGE_FORMATS)}, as stored"),
    ("--min-bytes", values.size, "SIZE", "at least, of the stored file, such as 5kB"),
    ("--max-bytes", values.size, "SIZE", "at most, of the stored file"),
)
_SELECTION: Rows = (("--near", int, "BITS", "Hamming radius of near; 0 is as phash"),)
_RENDERING: Rows = (
    ("--size", int, "PIXELS", "of the side or square to resize to"),
    ("--quality", int, "N", "of a jpg or webp that has to be made"),
)
_EXPORT: Rows = (
    ("--sample", int, "N", "only so many, picked at random"),
    ("--seed", int, "N", "of the sample"),
    ("--limit", int, "N", "only the first so many"),
)


def add_lists(parser: ArgumentParser) -> None:
    parser.add_argument(
        "lists",
        metavar="LIST",
        nargs="+",
        help="a file, a folder of files, a glob, - for standard input, or s3://, gs://, https://, hf://...",
    )


def add_settings(parser: ArgumentParser) -> None:
    """Everything that a job is configured with."""
    _add_reading(parser)
    add_workers(parser, JobConfig.workers)
    _add_rows(parser, _START_NUMBERS, JobConfig, FetchOptions)
    add = parser.add_argument
    add("--transport", choices=TRANSPORTS, default=FetchOptions.transport, help="what fetches (%(default)s)")
    add("--user-agent", metavar="TEXT", default=FetchOptions.user_agent, help="who asks (%(default)s)")
    add("--header", dest="headers", action="append", metavar="K:V", help="send this too; repeatable")
    add("--proxy", metavar="URL", help="for all requests")
    add("--insecure", action="store_true", help="accept any TLS certificate")
    add("--ca-bundle", metavar="FILE", help="authorities to trust, PEM")
    add("--allow-private", action="store_true", help="fetch from private and local addresses too")
    add("--ignore-robots-tag", action="store_true", help="store images whose X-Robots-Tag asks not to")


def add_changes(parser: ArgumentParser, shown: frozenset[str] = CHANGEABLE) -> None:
    """The same for a job that has its settings: only what is given counts.

    What is frozen is not shown; it is known only so that it can be refused in good words.
    """
    add_settings(parser)
    for action in parser._actions:
        if action.dest in _SETTINGS:
            action.default = None
            text = (action.help or "").replace(" (%(default)s)", "")
            action.help = text if action.dest in shown else argparse.SUPPRESS


def _add_reading(parser: ArgumentParser) -> None:
    """The options that say how lists are read."""
    add = parser.add_argument_group("how lists are read").add_argument
    add("--input-format", choices=LIST_FORMATS, help="of every list (by its extension; standard input: txt)")
    add("--url-col", metavar="NAME", help="the column with the URLs (url, URL, image_url, or the only one)")
    add(
        "--columns",
        type=values.columns,
        default=ListOptions.columns,
        metavar="NAME,...",
        help="the other columns to carry along; all; or none (all)",
    )
    add(
        "--verify-hash",
        metavar="COL:sha256",
        help="store only what has the digest in this column; or md5, sha512",
    )
    add("--shuffle", action="store_true", help="take the URLs in another order, for lists sorted by host")
    add("--seed", type=int, default=ListOptions.seed, metavar="N", help="of that order (%(default)s)")


def add_choice(parser: ArgumentParser) -> None:
    """The options that decide which images are kept."""
    choosing = parser.add_argument_group("what is kept")
    _add_rows(choosing, _FILTERS, Filters)
    add = choosing.add_argument
    add("--dedup", choices=POLICIES, default=Selection.dedup, help="what is a duplicate (%(default)s)")
    _add_rows(choosing, _SELECTION, Selection)
    add("--reselect", action="store_true", help="choose anew, even among what was exported before")


def add_writing(parser: ArgumentParser) -> None:
    """The options that decide what is written of them."""
    writing = parser.add_argument_group("what is written")
    add = writing.add_argument
    add(
        "--resize",
        choices=RESIZES,
        default=Rendering.resize,
        help="keep_ratio: the shorter side becomes SIZE, keep_ratio_largest: the longer; border: on a white "
        "square; center_crop: the middle square (%(default)s)",
    )
    _add_rows(writing, _RENDERING, Rendering)
    add("--only-bigger", action="store_true", help="leave alone what is not larger than SIZE")
    add("--encode", choices=ENCODINGS, default=Rendering.encode, help="(%(default)s)")
    add(
        "--format",
        choices=EXPORT_FORMATS,
        default=ExportOptions.format,
        help="image files, a tar or a parquet file per shard, or the metadata alone (%(default)s)",
    )
    add("--caption-col", metavar="NAME", help="column of the lists that becomes the .txt of a webdataset")
    _add_rows(writing, _EXPORT, ExportOptions)


def _add_rows(parser: Any, rows: Rows, *kinds: type) -> None:
    defaults = {entry.name: entry.default for kind in kinds for entry in fields(kind)}
    for flag, kind, metavar, text in rows:
        default = defaults[flag[2:].replace("-", "_")]
        note = "" if default is None else " (%(default)s)"
        parser.add_argument(flag, type=kind, metavar=metavar, default=default, help=text + note)


def add_workers(parser: ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--workers",
        type=int,
        default=default,
        metavar="N",
        help="processes; 0 works in this one (%(default)s)",
    )
    parser.add_argument("--no-progress", action="store_true", help="say nothing while working")


def add_recipe(parser: ArgumentParser) -> None:
    text = (
        "how images are hashed (as those of the job are, or else exact); another than theirs makes all anew"
    )
    parser.add_argument("--recipe", choices=RECIPES, help=text)
