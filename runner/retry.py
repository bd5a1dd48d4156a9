"""Retry: which failed items to ask for again, and making them pending."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from .engine.checkpoint import Checkpoint
from .engine.items import Key
from .errors import UsageError
from .fetch.reasons import REASONS, exists, reason


class Verdict(NamedTuple):
    """What a retry does with the so many ``items`` that failed for a reason, and why."""

    reason: str
    items: int
    again: bool
    why: str


def judge(failed: Mapping[str, int], chosen: Collection[str] | None) -> list[Verdict]:
    """For each reason with its number of items: again if it is ``chosen`` or, with None, if it may pass.

    Raises UsageError for a chosen reason that there is none of.
    """
    for name in chosen or ():
        if not exists(name):
            raise UsageError(f"There is no reason {name!r}. The reasons: {', '.join(REASONS)}.")
    return [_judge(name, items, chosen) for name, items in failed.items()]


def _judge(name: str, items: int, chosen: Collection[str] | None) -> Verdict:
    passes, why = reason(name)
    if chosen is None:
        return Verdict(name, items, passes, why)
    return Verdict(
        name, items, name in chosen, "named with --reason" if name in chosen else "not named with --reason"
    )


def forget(checkpoint: Checkpoint, reasons: Collection[str]) -> None:
    """Make the items that failed for these reasons pending, shard by shard.

    Killed half-way, those forgotten so far are pending, like any that were never fetched.
    """
    for shard, tally in checkpoint.tally("download").items():
        if not tally.keys().isdisjoint(reasons):
            marks = checkpoint.marks("download", shard)
            failed = [Key(shard, index) for index, mark in marks if mark.outcome in reasons]
            checkpoint.forget("download", failed)
