"""What each command does and says: results go to stdout, everything else to stderr."""

import json
import shlex
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import JobConfig
from ..engine.stop import Stop
from ..export_options import ExportOptions, Filters, Rendering, Selection
from ..fetch.options import FetchOptions
from ..pipeline import Job
from ..sources.lines import PERCENT
from ..sources.options import ListOptions
from .progress import ProgressBar

if TYPE_CHECKING:
    from ..clusters import Cluster, Member
    from ..listing import ListedItem
    from ..manifest import Summary
    from ..pipeline import ExportReport
    from ..retry import Verdict
    from ..status import Status
    from ..verify import Finding

WATCH_SECONDS = 2.0


@dataclass(frozen=True)
class Console:
    """What a command needs of the terminal."""

    progress: ProgressBar
    stop: Stop


Command = Callable[[Namespace, Console], int]


def start(options: Namespace, console: Console) -> int:
    given = _settings(options, _given(options, FetchOptions, ListOptions))
    job = Job.create(
        options.job, options.lists, workers=options.workers, shard_size=options.shard_size, **given
    )
    lines = job.folder.lines(job.folder.heads())
    _note(f"{job.folder.name}: {_account(lines)}.")
    return _download(job, options, console)


def resume(options: Namespace, console: Console) -> int:
    job = _open_changed(options)
    return _go_on(job, options, console)


def add(options: Namespace, console: Console) -> int:
    job = Job.open(options.job)
    before = job.folder.config.options()
    lines = job.add(options.lists, **_settings(options, before))
    _note(f"{job.folder.name}: {_account(lines, 'new URL')}.")
    after = job.folder.config.options()
    _note_changes(job, [name for name in after if after[name] != before[name]])
    return _go_on(job, options, console)


def retry(options: Namespace, console: Console) -> int:
    if options.dry_run:
        print(_forecast(Job.open(options.job).retry(options.reasons, dry_run=True)))
        return 0
    job = _open_changed(options)
    _note(_retried(job.retry(options.reasons)))
    return _go_on(job, options, console)


def _forecast(verdicts: "Sequence[Verdict]") -> str:
    lines = [
        f"{verdict.reason:16s} {verdict.items:9,}  {'again' if verdict.again else 'no':5s}  {verdict.why}"
        for verdict in verdicts
    ]
    again = sum(verdict.items for verdict in verdicts if verdict.again)
    failed = sum(verdict.items for verdict in verdicts)
    return "\n".join([*lines, f"{again:,} of {failed:,} failed URLs would be asked for again (dry run)."])


def _retried(verdicts: "Sequence[Verdict]") -> str:
    reasons = [f"{verdict.reason} {verdict.items:,}" for verdict in verdicts if verdict.again]
    left = sum(verdict.items for verdict in verdicts if not verdict.again)
    rest = f"{left:,} stay failed (retry --dry-run says why)." if left else ""
    return f"{'Pending again: ' + ', '.join(reasons) if reasons else 'Nothing to retry'}. {rest}".strip()


def _open_changed(options: Namespace) -> Job:
    """The job, with the settings that were given recorded in it."""
    job = Job.open(options.job)
    settings = _settings(options, job.folder.config.options())
    if settings:
        _note_changes(job, job.change(**settings))
    return job


def _note_changes(job: Job, changed: list[str]) -> None:
    if changed:
        names = ", ".join(
            f"--{name.replace('_', '-').replace('headers', 'header')}" for name in sorted(changed)
        )
        _note(f"{job.folder.name}: {names} as given now, in this run and all that follow.")


def _settings(options: Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Those of these options that were given. An empty text is the default again: ``--proxy ""``."""
    defaults = JobConfig().options()
    given = {name: getattr(options, name) for name in names if getattr(options, name, None) is not None}
    return {name: defaults[name] if value in ("", [""]) else value for name, value in given.items()}


def _go_on(job: Job, options: Namespace, console: Console) -> int:
    """Download what is pending."""
    status = job.status()
    if status.state != "complete":
        return _download(job, options, console)
    job.download(workers=options.workers, progress=console.progress, stop=console.stop)  # looks at the files
    print(_summary(status))
    print("Nothing is left to download.")
    _hint_at_export(status, options)
    return 0


def _download(job: Job, options: Namespace, console: Console) -> int:
    options.command = "resume"  # whatever it was: if it is stopped from here on, that is what goes on
    job.download(workers=options.workers, progress=console.progress, stop=console.stop)
    status = job.status()
    print(_summary(status))
    _hint_at_export(status, options)
    return 0


def _hint_at_export(status: "Status", options: Namespace) -> None:
    if status.items["stored"]:
        print(f"Write the images to a folder: runner export {shlex.quote(options.job)} OUT")
    if status.reasons.get("blocked_address"):
        print("Private and local addresses are refused (blocked_address) unless --allow-private is given.")


def _account(lines: "Summary", noun: str = "URL") -> str:
    """What became of the lines of a list."""
    return (
        f"{_count(lines.lines, 'line')}, that is {_count(lines.items, noun)} in "
        f"{_count(lines.shards, 'shard')}, {_count(lines.repeats, 'repeat')}, {lines.blank:,} blank"
    )


def hash_images(options: Namespace, console: Console) -> int:
    job = Job.open(options.job)
    job.hash(workers=options.workers, recipe=options.recipe, progress=console.progress, stop=console.stop)
    counts = job.status().hash or {"hashed": 0, "undecodable": 0}
    print(f"{counts['hashed']:,} hashed, {counts['undecodable']:,} undecodable.")
    return 0


def export(options: Namespace, console: Console) -> int:
    job = Job.open(options.job)
    report = job.export(
        options.out,
        workers=options.workers,
        recipe=options.recipe,
        dry_run=options.dry_run,
        reselect=options.reselect,
        progress=console.progress,
        stop=console.stop,
        **_given(options, Filters, Selection, Rendering, ExportOptions),
    )
    print(_export_summary(job.status(), report, options.out, options.format))
    return 0


def dups(options: Namespace, console: Console) -> int:
    clusters = Job.open(options.job).clusters(
        workers=options.workers,
        recipe=options.recipe,
        reselect=options.reselect,
        progress=console.progress,
        stop=console.stop,
        **_given(options, Filters, Selection),
    )
    for cluster in clusters:
        sys.stdout.write((json.dumps(cluster.to_json()) if options.json else _as_lines(cluster)) + "\n")
    return 0


def _as_lines(cluster: "Cluster") -> str:
    kept = _member_line("keep", cluster.representative)
    return "\n".join([kept, *(_member_line("drop", member) for member in cluster.members)])


def _member_line(verb: str, member: "Member") -> str:
    size = f"{member.width}x{member.height}"
    url = member.url.encode(errors="backslashreplace").decode()
    return f"{verb}  {member.shard:05d} {member.index:5d}  {member.distance:2d} bits  {size:>11s}  {url}"


def _given(options: Namespace, *kinds: type) -> dict[str, Any]:
    """The options of this command that belong to these kinds, by name."""
    names = (entry.name for kind in kinds for entry in fields(kind))
    return {name: getattr(options, name) for name in names if hasattr(options, name)}


def status(options: Namespace, console: Console) -> int:  # noqa: ARG001
    job = Job.open(options.job)
    while True:
        now = job.status()
        print(json.dumps(now.to_json()) if options.json else _summary(now), flush=True)
        if not options.watch or now.state != "running":
            return 0
        time.sleep(WATCH_SECONDS)


def ls(options: Namespace, console: Console) -> int:  # noqa: ARG001
    job = Job.open(options.job)
    show = _as_json if options.json else _as_url if options.urls else _as_line
    for item in job.items(state=options.state, reason=options.reason):
        sys.stdout.write(show(item) + "\n")
    return 0


def verify(options: Namespace, console: Console) -> int:  # noqa: ARG001
    from ..verify import summarize

    job = Job.open(options.job)
    count = 0
    damaged: set[Path] = set()
    for line in summarize(_noting_folders(job.verify(deep=options.deep), damaged)):
        with suppress(BrokenPipeError):  # who has read enough must not take the job for sound
            print(line, flush=True)
        count += 1
    if count:
        remedy = f"Mend the job: runner repair {shlex.quote(options.job)}"
        if job.folder.manifests in damaged:
            remedy = "Restore the manifests from a copy of the job: what is in them is nowhere else."
        _note(f"{_count(count, 'thing')} wrong. {remedy}")
        return 1
    depth = "every stored byte" if options.deep else "every file, mark and record; --deep reads all bytes too"
    print(f"{job.folder.name}: nothing is wrong ({depth}).")
    return 0


def _noting_folders(findings: "Iterator[Finding]", folders: set[Path]) -> "Iterator[Finding]":
    """The same findings; the folders of the files that they are about are added to ``folders``."""
    for finding in findings:
        folders.add(finding.path.parent)
        yield finding


def repair(options: Namespace, console: Console) -> int:  # noqa: ARG001
    done = False
    for line in Job.open(options.job).repair():
        done = True
        print(line, flush=True)
    print(f"Go on with: runner resume {shlex.quote(options.job)}" if done else "Nothing had to be mended.")
    return 0


def _as_json(item: "ListedItem") -> str:
    return json.dumps(item.to_json())


def _as_url(item: "ListedItem") -> str:
    """The URL as a line of a text list: one from JSON may hold what no line can."""
    url = item.url.replace("\n", "%0A").translate(PERCENT)
    return url.encode(errors="backslashreplace").decode()


def _as_line(item: "ListedItem") -> str:
    outcome = item.reason or item.state
    # Whatever a list holds, it does not get to command a terminal.
    url = "".join(char if char.isprintable() else repr(char)[1:-1] for char in _as_url(item))
    return f"{item.shard:05d} {item.index:5d}  {outcome:16s}  {url}"


def _summary(status: "Status") -> str:
    items = status.items
    lines = [
        f"{status.job} ({status.state}): {_count(items['total'], 'URL')}, {items['stored']:,} stored "
        f"({_size(status.bytes)}), {items['failed']:,} failed, {items['pending']:,} pending; "
        f"{_count(status.repeats, 'repeat')}."
    ]
    if status.reasons:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in status.reasons.items())
        lines.append(f"Failed: {reasons}.")
    if status.hash:
        lines.append(", ".join(f"{name} {count:,}" for name, count in status.hash.items()) + ".")
    if status.dedup:
        lines.append(f"Dedup: {status.dedup['unique']:,} unique, {status.dedup['duplicates']:,} duplicates.")
    return "\n".join(lines)


_WRITTEN = {
    "folder": "{images} ({size}) and metadata.jsonl",
    "webdataset": "{images} in tar files ({size})",
    "parquet": "{images} in parquet files ({size})",
    "jsonl": "the metadata of {images}, metadata.jsonl ({size})",
    "csv": "the metadata of {images}, metadata.csv ({size})",
}


def _export_summary(status: "Status", report: "ExportReport", out: str, kind: str) -> str:
    chosen = report.reduction
    left_out = [f"{chosen.duplicates:,} duplicates", _undecodable(report.undecodable)]
    left_out += [f"{count:,} by {name.replace('_', '-')}" for name, count in chosen.filtered.items()]
    lines = [
        f"Of {status.items['stored']:,} images {chosen.unique:,} are kept; left out: {', '.join(left_out)}."
    ]
    if report.wanted < chosen.unique:
        lines.append(f"Of these only {report.wanted:,} are wanted (--sample, --limit).")
    if report.exported is None:
        lines.append(f"{_count(report.wanted, 'image')} would be in {out}; nothing was written (dry run).")
    else:
        done = report.exported
        written = _WRITTEN[kind].format(images=_count(done.images, "image"), size=_size(done.bytes))
        lines.append(f"{out}: {written}.")
        if done.removed:
            lines.append(f"{_count(done.removed, 'image')} kept no longer, removed.")
        for reason, count in sorted(done.failures.items()):
            lines.append(f"{_count(count, 'image')} could not be written ({reason}).")
    if status.items["pending"]:
        lines.append(f"The download is not complete: {_count(status.items['pending'], 'URL')} pending.")
    return "\n".join(lines)


def _undecodable(reasons: dict[str, int]) -> str:
    text = f"{sum(reasons.values()):,} undecodable"
    details = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
    return f"{text} ({details})" if details else text


def _note(text: str) -> None:
    with suppress(OSError):  # nobody listens, which is no reason not to work
        print(text, file=sys.stderr, flush=True)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
