"""The command line's grammar: commands, options, and their defaults from the environment."""

import argparse
import re
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from .. import __version__
from ..config import CHANGEABLE, READING, JobConfig
from ..fetch.options import TRANSPORTS, FetchOptions
from ..fetch.reasons import REASONS, exists
from ..listing import STATES
from ..options import (
    ENCODINGS,
    FORMATS,
    LAYOUTS,
    POLICIES,
    RESIZES,
    ExportOptions,
    Filters,
    Rendering,
    Selection,
)
from ..sources.options import FORMATS as LIST_FORMATS
from ..sources.options import ListOptions
from . import commands, completion
from .environment import CommandParser

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)(i?)b?", re.IGNORECASE)
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:/([smh]))?")
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_SETTINGS = JobConfig().options().keys()


def _size(text: str) -> int:
    """Bytes: 50MB, 1.5GiB, 4096."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"not a size: {text!r} (50MB, 1GiB or a number of bytes)")
    number, unit, binary = match.groups()
    base = 1024 if binary else 1000
    return int(float(number) * base ** " kmg".index(unit.lower() or " "))


def _rate(text: str) -> float:
    """Requests a second: 5, 0.5/s, 30/m, 100/h."""
    match = _RATE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"not a rate: {text!r} (5/s, 30/m or 100/h)")
    return float(match[1]) / _SECONDS[match[2] or "s"]


def _formats(text: str) -> tuple[str, ...]:
    """Image formats: jpeg,png."""
    aliases = {"jpg": "jpeg", "tif": "tiff"}
    names = [name.strip().lower() for name in text.split(",")]
    return tuple(aliases.get(name, name) for name in names if name)


def _reason(text: str) -> str:
    """Why a URL can fail: timeout, http_404."""
    if not exists(text):
        raise argparse.ArgumentTypeError(f"there is no reason {text!r}; the reasons: {', '.join(REASONS)}")
    return text


def _columns(text: str) -> tuple[str, ...]:
    """Names of columns: caption,licence."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


# Flag, type, metavar, help; the default is that of the field of this name in one of the option classes.
Rows = tuple[tuple[str, Callable[[str], object], str, str], ...]

_START_NUMBERS: Rows = (
    ("--shard-size", int, "N", "URLs per shard"),
    ("--connections", int, "N", "connections per worker"),
    ("--timeout", float, "SECONDS", "in total, per attempt"),
    ("--connect-timeout", float, "SECONDS", "for the connection alone"),
    ("--retries", int, "N", "attempts after a failure that may pass"),
    ("--max-wait", float, "SECONDS", "longest Retry-After to wait for"),
    ("--max-bytes", _size, "SIZE", "largest image, such as 50MB or 1GiB"),
    ("--per-host", int, "N", "most requests to one host at a time, over all workers; 0 finds out by itself"),
    ("--rate", _rate, "N/s", "most requests to one host, over all workers, such as 5/s or 30/m; 0: no limit"),
)
_FILTERS: Rows = (
    ("--min-side", int, "PIXELS", "at least, of the shorter side"),
    ("--max-side", int, "PIXELS", "at most, of the longer side"),
    ("--min-area", int, "PIXELS", "at least, width times height"),
    ("--max-area", int, "PIXELS", "at most, width times height"),
    ("--max-aspect", float, "RATIO", "at most, longer by shorter side"),
    ("--formats", _formats, "KIND,...", f"only these, of {', '.join(FORMATS)}, as stored"),
    ("--min-bytes", _size, "SIZE", "at least, of the stored file, such as 5kB"),
    ("--max-bytes", _size, "SIZE", "at most, of the stored file"),
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


def build_parser() -> ArgumentParser:
    """The whole grammar. Every option can also be given as RUNNER_<NAME> in the environment."""
    parser = ArgumentParser(
        prog="runner",
        description="From a list of image URLs to a folder of clean, distinct JPEGs.",
        epilog="Every option can also be given in the environment as RUNNER_<NAME>, e.g. RUNNER_WORKERS=4.",
    )
    parser.add_argument("--version", action="version", version=f"runner {__version__}")
    actions = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=CommandParser
    )
    for add in (
        _add_start,
        _add_resume,
        _add_add,
        _add_retry,
        _add_export,
        _add_dups,
        _add_status,
        _add_ls,
        _add_hash,
        _add_verify,
        _add_repair,
        _add_completion,
    ):
        add(actions)
    return parser


def _command(
    actions: Any, name: str, run: commands.Command, text: str, example: str, *, of_job: bool = True
) -> ArgumentParser:
    parser: ArgumentParser = actions.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"Example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # an example is to be copied as it is
    )
    parser.set_defaults(run=run, command=name)
    if of_job:
        parser.add_argument("job", metavar="JOB", help="the job folder")
    return parser


def _add_start(actions: Any) -> ArgumentParser:
    parser = _command(
        actions,
        "start",
        commands.start,
        "create a job from URL lists and download it",
        "runner start cats photos.parquet --url-col link --columns caption",
    )
    _add_lists(parser)
    _add_settings(parser)
    return parser


def _add_lists(parser: ArgumentParser) -> None:
    parser.add_argument(
        "lists",
        metavar="LIST",
        nargs="+",
        help="a file, a folder of files, a glob, - for standard input, or s3://, gs://, https://, hf://...",
    )


def _add_settings(parser: ArgumentParser) -> None:
    """Everything that a job is configured with."""
    _add_reading(parser)
    _add_workers(parser, JobConfig.workers)
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


def _add_changes(parser: ArgumentParser, shown: frozenset[str] = CHANGEABLE) -> None:
    """The same for a job that has its settings: only what is given counts.

    What is frozen is not shown; it is known only so that it can be refused in good words.
    """
    _add_settings(parser)
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
        type=_columns,
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


def _add_resume(actions: Any) -> ArgumentParser:
    parser = _command(
        actions,
        "resume",
        commands.resume,
        "go on with a job that was interrupted; settings that are given are recorded in it",
        "runner resume cats --timeout 30",
    )
    _add_changes(parser)
    return parser


def _add_add(actions: Any) -> ArgumentParser:
    text = "append URL lists to a job and download what is new in them"
    parser = _command(actions, "add", commands.add, text, "runner add cats more.txt")
    _add_lists(parser)
    _add_changes(parser, CHANGEABLE | READING)
    return parser


def _add_retry(actions: Any) -> ArgumentParser:
    text = "ask again for URLs that failed: all that may succeed later, or those of some reasons"
    parser = _command(actions, "retry", commands.retry, text, "runner retry cats --timeout 60")
    add = parser.add_argument
    text = "only what failed for this reason, also http_404; repeatable"
    add("--reason", dest="reasons", type=_reason, action="append", metavar="R", help=text)
    add("--dry-run", action="store_true", help="say what would be asked for again, and why; do nothing")
    _add_changes(parser)
    return parser


def _add_export(actions: Any) -> ArgumentParser:
    parser = _command(
        actions,
        "export",
        commands.export,
        "hash, drop duplicates, filter, and write a folder of images",
        "runner export cats cats-jpegs --min-side 256",
    )
    parser.add_argument(
        "out",
        metavar="OUT",
        help="the folder to write, or a URL such as s3://bucket/cats; repeat it to bring that up to date",
    )
    _add_workers(parser, 8)
    _add_choice(parser)
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
        choices=LAYOUTS,
        default=ExportOptions.format,
        help="image files, a tar or a parquet file per shard, or the metadata alone (%(default)s)",
    )
    add("--caption-col", metavar="NAME", help="column of the lists that becomes the .txt of a webdataset")
    _add_rows(writing, _EXPORT, ExportOptions)
    parser.add_argument("--dry-run", action="store_true", help="say what would be exported, write nothing")
    return parser


def _add_dups(actions: Any) -> ArgumentParser:
    parser = _command(
        actions,
        "dups",
        commands.dups,
        "list what an export would call duplicates, the largest group first",
        "runner dups cats --near 2 | head -50",
    )
    _add_workers(parser, 8)
    _add_choice(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per group")
    return parser


def _add_choice(parser: ArgumentParser) -> None:
    """The options that decide which images are kept."""
    choosing = parser.add_argument_group("what is kept")
    _add_rows(choosing, _FILTERS, Filters)
    add = choosing.add_argument
    add("--dedup", choices=POLICIES, default=Selection.dedup, help="what is a duplicate (%(default)s)")
    _add_rows(choosing, _SELECTION, Selection)
    add("--reselect", action="store_true", help="choose anew, even among what was exported before")


def _add_rows(parser: Any, rows: Rows, *kinds: type) -> None:
    defaults = {entry.name: entry.default for kind in kinds for entry in fields(kind)}
    for flag, kind, metavar, text in rows:
        default = defaults[flag[2:].replace("-", "_")]
        note = "" if default is None else " (%(default)s)"
        parser.add_argument(flag, type=kind, metavar=metavar, default=default, help=text + note)


def _add_hash(actions: Any) -> ArgumentParser:
    parser = _command(
        actions, "hash", commands.hash_images, "decode and hash the stored images", "runner hash cats"
    )
    _add_workers(parser, 8)
    return parser


def _add_status(actions: Any) -> ArgumentParser:
    parser = _command(
        actions,
        "status",
        commands.status,
        "say where a job stands",
        "runner status cats",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--watch", action="store_true", help="again and again, as long as the job runs")
    return parser


def _add_ls(actions: Any) -> ArgumentParser:
    parser = _command(
        actions,
        "ls",
        commands.ls,
        "list what became of each URL",
        "runner ls cats --state failed --urls > again.txt",
    )
    parser.add_argument("--state", choices=STATES, help="only these")
    parser.add_argument("--reason", metavar="R", help="only those that failed for this reason, e.g. http_404")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object per line")
    form.add_argument("--urls", action="store_true", help="the bare URLs")
    return parser


def _add_verify(actions: Any) -> ArgumentParser:
    text = "check every file of a job against every other; exit 1 if anything is wrong"
    parser = _command(actions, "verify", commands.verify, text, "runner verify cats --deep")
    parser.add_argument("--deep", action="store_true", help="read every stored byte too")
    return parser


def _add_repair(actions: Any) -> ArgumentParser:
    text = "make damaged items pending again, keep what is intact"
    return _command(actions, "repair", commands.repair, text, "runner repair cats")


def _add_completion(actions: Any) -> ArgumentParser:
    parser = _command(
        actions,
        "completion",
        completion.completion,
        "print what makes a shell complete commands and options",
        "runner completion fish > ~/.config/fish/completions/runner.fish",
        of_job=False,
    )
    parser.add_argument(
        "shell", metavar="SHELL", choices=completion.SHELLS, help=", ".join(completion.SHELLS)
    )
    return parser


def _add_workers(parser: ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--workers",
        type=int,
        default=default,
        metavar="N",
        help="processes; 0 works in this one (%(default)s)",
    )
    parser.add_argument("--no-progress", action="store_true", help="say nothing while working")
