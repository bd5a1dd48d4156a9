"""The command line's grammar: every command with its options."""

import argparse
from argparse import ArgumentParser
from typing import Any

from .. import __version__
from ..config import CHANGEABLE, READING
from ..status import STATES
from . import commands, completion, options, values
from .environment import CommandParser


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
        parser.add_argument("job", metavar="JOB", type=values.place, help="the job folder")
    return parser


def _add_start(actions: Any) -> ArgumentParser:
    parser = _command(
        actions,
        "start",
        commands.start,
        "create a job from URL lists and download it",
        "runner start cats photos.parquet --url-col link --columns caption",
    )
    options.add_lists(parser)
    options.add_settings(parser)
    return parser


def _add_resume(actions: Any) -> ArgumentParser:
    parser = _command(
        actions,
        "resume",
        commands.resume,
        "go on with a job that was interrupted; settings that are given are recorded in it",
        "runner resume cats --timeout 30",
    )
    options.add_changes(parser)
    return parser


def _add_add(actions: Any) -> ArgumentParser:
    text = "append URL lists to a job and download what is new in them"
    parser = _command(actions, "add", commands.add, text, "runner add cats more.txt")
    options.add_lists(parser)
    options.add_changes(parser, CHANGEABLE | READING)
    return parser


def _add_retry(actions: Any) -> ArgumentParser:
    text = "ask again for URLs that failed: all that may succeed later, or those of some reasons"
    parser = _command(actions, "retry", commands.retry, text, "runner retry cats --timeout 60")
    add = parser.add_argument
    text = "only what failed for this reason, also http_404; repeatable"
    add("--reason", dest="reasons", type=values.reason, action="append", metavar="R", help=text)
    add("--dry-run", action="store_true", help="say what would be asked for again, and why; do nothing")
    options.add_changes(parser)
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
        type=values.place,
        help="the folder to write, or a URL such as s3://bucket/cats; repeat it to bring that up to date",
    )
    options.add_workers(parser, 8)
    options.add_recipe(parser)
    options.add_choice(parser)
    options.add_writing(parser)
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
    options.add_workers(parser, 8)
    options.add_recipe(parser)
    options.add_choice(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per group")
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
    parser.add_argument(
        "--reason",
        type=values.reason,
        metavar="R",
        help="only those that failed for this reason, e.g. http_404",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object per line")
    form.add_argument("--urls", action="store_true", help="the bare URLs")
    return parser


def _add_hash(actions: Any) -> ArgumentParser:
    parser = _command(
        actions, "hash", commands.hash_images, "decode and hash the stored images", "runner hash cats"
    )
    options.add_workers(parser, 8)
    options.add_recipe(parser)
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
