"""``README.md`` of an export: what is in it, in words, and how the Hugging Face `datasets` read it.

It tells nothing that changes from one run to the next (no dates, no paths), so the same export has the same
card. One that somebody has edited, to say a word about licences for instance, is left as it is.
"""

import hashlib
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..deduptable import Reduction
from ..engine.checkpoint import Checkpoint
from ..export_options import ExportOptions, Selection
from .column_types import Features, clean
from .formats import Plan
from .host_counts import HostCounts
from .output import Output, digest
from .update import Exported

CARD = "README.md"
HOSTS_SHOWN = 10
_SIZES = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")

_LICENCE = """\
The images belong to whoever made them; where each was found is in its column `url`. Say here, and in the
lines above, under which terms this dataset may be used. Once you have changed this file it is yours: another
export to this place leaves it as it is.
"""


@dataclass(frozen=True)
class Origin:
    """What a job had when it was exported: how many URLs, stored images, failures by reason."""

    urls: int
    stored: int
    failed: dict[str, int]
    undecodable: dict[str, int]
    reduction: Reduction


@dataclass(frozen=True)
class Settings:
    """What was asked for."""

    selection: Selection
    export: ExportOptions

    def command(self) -> str:
        """The command line that asks for it, with what differs from the defaults."""
        given = [f"--format {self.export.format}"] if self.export.format != "folder" else []
        for options in (self.selection.filters, self.selection, self.export.rendering, self.export):
            for entry in fields(options):
                value = getattr(options, entry.name)
                if entry.name not in _NO_FLAG and value != entry.default:
                    given.append(_flag(entry.name, value))
        return " ".join(["runner export JOB OUT", *given])


_NO_FLAG = {"filters", "rendering", "format"}


def _flag(name: str, value: Any) -> str:
    flag = f"--{name.replace('_', '-')}"
    if value is True:
        return flag
    return f"{flag} {shlex.quote(','.join(value) if isinstance(value, tuple) else str(value))}"


def write_card(out: Output, checkpoint: Checkpoint, text: str) -> None:
    """Write the card, unless somebody else has written one or changed ours."""
    ours = checkpoint.note(f"card:{digest(out)}") or b""
    data = text.encode()
    there = out.read(CARD)
    if there == data or (there is not None and hashlib.sha256(there).digest() not in _split(ours)):
        return
    # Noted before it is written: killed in between, the one that is there is still known to be ours.
    last = b"" if there is None else hashlib.sha256(there).digest()
    checkpoint.set_note(f"card:{digest(out)}", hashlib.sha256(data).digest() + last)
    with out.draft(CARD) as draft:
        draft.file.write(data)
        draft.publish()


def _split(hashes: bytes) -> set[bytes]:
    width = hashlib.sha256().digest_size
    return {hashes[at : at + width] for at in range(0, len(hashes), width)}


def card(plan: Plan, settings: Settings, origin: Origin, exported: Exported, hosts: HostCounts) -> str:
    """The text of a card."""
    parts = [
        "\n".join(["---", *_front_matter(plan, exported.images), "---"]),
        f"# {_count(exported.images, 'image')}",
        f"Made of a list of {_count(origin.urls, 'URL')} by `runner`, with this command:",
        f"    {settings.command()}",
        "## Where they come from",
        _from(origin, hosts),
        _table(("host", "images"), _hosts(hosts)),
        "## What was left out",
        _table(("images", "why"), _left_out(settings, origin, exported)),
        "## Licence",
        _LICENCE,
    ]
    return "\n\n".join(parts)


def _front_matter(plan: Plan, images: int) -> Iterator[str]:
    yield "# license: name it here"
    yield "size_categories:"
    yield f"- {_size_category(images)}"
    if plan.data_files:
        yield from ("configs:", "- config_name: default", f'  data_files: "{plan.data_files}"')
    if plan.features:
        yield from ("dataset_info:", "  features:", *_declared(plan.features, "  "))


def _declared(features: Features, indent: str) -> Iterator[str]:
    for name, kind in features:
        yield f"{indent}- name: {_quoted(name)}"
        if isinstance(kind, str):
            yield f"{indent}  dtype: {kind}"
        else:
            yield f"{indent}  struct:"
            yield from _declared(kind, f"{indent}  ")


def _quoted(name: str) -> str:
    """As YAML has it. (JSON writes an emoji as two escapes, which are two characters to YAML.)"""
    plain = (
        char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in clean(name)
    )
    return f'"{"".join(plain)}"'


def _size_category(images: int) -> str:
    """As the Hugging Face hub has them: n<1K, 1K<n<10K, and so on."""
    rank = max(0, len(str(images)) - 3)
    if rank == 0:
        return "n<1K"
    return f"{_SIZES[rank - 1]}<n<{_SIZES[rank]}" if rank < len(_SIZES) else "n>1B"


def _from(origin: Origin, hosts: HostCounts) -> str:
    failed = sum(origin.failed.values())
    pending = origin.urls - origin.stored - failed
    return (
        f"Of {_count(origin.urls, 'URL')} {origin.stored:,} gave an image, {failed:,} failed"
        f"{_details(origin.failed)}{f', {pending:,} are pending' if pending else ''}. "
        f"The images here come from {_count(len(hosts), 'host')}."
    )


def _hosts(hosts: HostCounts) -> list[tuple[str, str]]:
    shown = hosts.top(HOSTS_SHOWN)
    rows = [(f"`{host}`", f"{count:,}") for host, count in shown]
    if len(hosts) > len(shown):
        rest = hosts.images - sum(count for _, count in shown)
        rows.append((f"{_count(len(hosts) - len(shown), 'other')}", f"{rest:,}"))
    return rows


def _left_out(settings: Settings, origin: Origin, exported: Exported) -> list[tuple[str, str]]:
    selection, reduction = settings.selection, origin.reduction
    limits = selection.filters.limits()
    wanted = settings.export.count(reduction.unique)
    rows = [
        (sum(origin.undecodable.values()), f"cannot be decoded{_details(origin.undecodable)}"),
        *((count, f"`{_flag(name, limits[name])}`") for name, count in reduction.filtered.items()),
        (reduction.duplicates, f"stand behind an image that is here: {_duplicates(selection)}"),
        (reduction.unique - wanted, "not wanted: `--sample`, `--limit`"),
        *((count, f"cannot be written ({reason})") for reason, count in sorted(exported.failures.items())),
    ]
    return [(f"{count:,}", why) for count, why in rows if count]


def _duplicates(selection: Selection) -> str:
    near = f"`--dedup {selection.dedup}`"
    return f"{near}, within {selection.near} of 64 bits" if selection.dedup == "near" else near


def _details(reasons: Mapping[str, int]) -> str:
    text = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
    return f" ({text})" if text else ""


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    if not rows:
        return "Nothing."
    return "\n".join(f"| {left} | {right} |" for left, right in [head, ("---", "---"), *rows])


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
