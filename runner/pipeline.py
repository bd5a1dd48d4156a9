"""The main flow: lists -> manifests -> batches -> hashes -> dedup table -> a dataset.

Each step goes on where it was left, whatever ended it, and touches nothing that is finished.
What a step alone needs it imports by itself, so that a look at a job is quick.
"""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from .config import JobConfig, check_workers
from .deduptable import DedupTable, Reduction
from .engine.items import DONE
from .engine.soundness import check
from .engine.stop import Stop
from .errors import UsageError
from .export_options import ExportOptions, Selection, take_selection, take_writing
from .job import JobFolder
from .recipes import Recipe, check_recipe
from .retry import Verdict, forget, judge
from .status import Status, read_status

if TYPE_CHECKING:
    from .clusters import Cluster
    from .download import DownloadStage
    from .export.card import Settings
    from .export.formats import Plan
    from .export.output import Output
    from .export.update import Exported
    from .listing import ListedItem
    from .manifest import Summary
    from .session import Listener, Session
    from .verify import Finding


class ExportReport(NamedTuple):
    """What became of the stored images, and what OUT holds now (None after a dry run).

    ``undecodable``  reason -> images that could not be hashed
    ``reduction``    the others: kept, duplicates, and left out by each filter
    ``wanted``       how many of the kept ones are to be written, by sample and limit
    """

    undecodable: dict[str, int]
    reduction: Reduction
    wanted: int
    exported: "Exported | None"


class Job:
    """A job folder and what can be done with it. Nothing here prints, exits or handles signals.

    Every method that works takes the job's lock while it does, and raises a ``RunnerError`` that says what
    to do: BusyError if the job is in use, StoppedError after ``stop`` was asked, DiskFullError and so on.
    """

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder

    @classmethod
    def create(cls, path: str | Path, lists: str | Path | Sequence[str | Path], **options: Any) -> Self:
        """Shard a URL list, or several, into a new job; ``options`` are those of `runner start`, by name."""
        return cls(JobFolder.create(Path(path), _several(lists), JobConfig.from_options(**options)))

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Open an existing job."""
        return cls(JobFolder.open(Path(path)))

    def add(self, lists: str | Path | Sequence[str | Path], **options: Any) -> "Summary":
        """Append what is new in a URL list, or several, as further shards; tells what became of the lines.

        URLs that the job has are counted as repeats, and their columns are kept beside the item. ``options``
        say how the lists are read (``input_format``, ``url_col``, ``columns``, ``shuffle``, ``seed``), where
        that is not as for the job's first lists; others are settings, as ``change`` takes them. Killed at any
        moment, it has added and changed all or nothing.
        """
        from .add import append

        with self.folder.lock():
            return append(self.folder, _several(lists), options)

    def retry(self, reasons: Collection[str] | None = None, *, dry_run: bool = False) -> list[Verdict]:
        """Make failed items pending: those of these reasons, or all that may succeed later.

        Returns what that comes to for every reason; with ``dry_run`` it does nothing else.
        """
        verdicts = judge(self.status().reasons, reasons)
        if not dry_run:
            with self._session(None, None, None) as session:
                check(self.folder.checkpoint_path)
                verdicts = judge(session.failures("download"), reasons)
                forget(session.checkpoint, {verdict.reason for verdict in verdicts if verdict.again})
        return verdicts

    def change(self, **settings: Any) -> list[str]:
        """Have other settings from now on, named as for ``create``; tells which of them are other ones.

        Raises UsageError for one that is frozen: what decides which images the job holds never changes.
        """
        self.folder.config.changed(**settings)
        with self.folder.lock():
            before = self.folder.config
            after = before.changed(**settings)
            if after != before:
                self.folder.rewrite(replace(self.folder.record, config=after))
        old, new = before.options(), after.options()
        return [name for name in settings if old[name] != new[name]]

    def download(
        self, *, workers: int | None = None, progress: "Listener | None" = None, stop: Stop | None = None
    ) -> None:
        """Fetch every URL that has no mark yet."""
        with self._session(workers, progress, stop) as session:
            rows = {head.shard: head.rows for head in session.heads}
            session.check_stored("download", self.folder.batches, rows)
            unfinished = session.unfinished_shards("download")
            if unfinished:
                check(self.folder.checkpoint_path)
            stage = self._download_stage(session.workers, len(unfinished))
            work = ((head.shard, range(head.rows)) for head in unfinished)
            session.run(stage, work, session.items())

    def hash(
        self,
        *,
        workers: int | None = None,
        recipe: Recipe | None = None,
        progress: "Listener | None" = None,
        stop: Stop | None = None,
    ) -> None:
        """Decode and hash every stored image that is not hashed yet.

        ``recipe``: exact or fast; of None, that of the hashes there are, or else exact. Another one than
        theirs makes them all anew: see ``docs/dedup.md``.
        """
        check_recipe(recipe)
        with self._session(workers, progress, stop) as session:
            self._hash(session, recipe)

    def export(
        self,
        out: str | Path,
        *,
        workers: int | None = None,
        recipe: Recipe | None = None,
        dry_run: bool = False,
        reselect: bool = False,
        progress: "Listener | None" = None,
        stop: Stop | None = None,
        **options: Any,
    ) -> ExportReport:
        """Hash what is not hashed, drop duplicates, filter, and make OUT hold exactly what is left.

        OUT is a folder, or a URL that fsspec knows. ``options`` are those of `runner export`, by name.
        """
        from . import dedup
        from .export.card import Settings
        from .export.formats import plan
        from .export.output import claim, output_for

        check_recipe(recipe)
        selection, writing = _export_options(options)
        folder = self.folder
        with self._session(workers, progress, stop) as session:
            job = folder.path.resolve()
            output = output_for(out, job)
            lists = folder.lists(session.heads)
            planned = plan(writing, folder.manifest_paths(), lists.have_repeats)
            if session.workers and output.in_this_process:
                raise UsageError(f"Worker processes do not see {output.name}: give --workers 0.")
            if not dry_run:
                claim(output, job, session.checkpoint, writing.format)
            self._hash(session, recipe)
            undecodable = session.failures("hash")
            shards = [head.shard for head in session.heads]
            if dry_run:
                _, reduction = dedup.preview(
                    folder.hashes, folder.dedup, selection, reselect=reselect, shards=shards
                )
                return ExportReport(undecodable, reduction, writing.count(reduction.unique), None)
            reduction = dedup.reduce(folder.hashes, folder.dedup, selection, reselect=reselect, shards=shards)
            exported = self._export(session, output, planned, Settings(selection, writing), reduction)
        return ExportReport(undecodable, reduction, writing.count(reduction.unique), exported)

    def _export(
        self,
        session: "Session",
        output: "Output",
        planned: "Plan",
        settings: "Settings",
        reduction: Reduction,
    ) -> "Exported":
        """Write what was chosen."""
        from .export.card import Origin, card, write_card
        from .export.contents import Contents
        from .export.kept import Kept

        folder = self.folder
        options = settings.export
        with DedupTable(folder.dedup) as table:
            kept = Kept(table, [head.shard for head in session.heads], options)
            lists = folder.lists(session.heads)
            contents = Contents(lists, folder.batches, folder.hashes, kept, options.rendering)
            exporter = planned.exporter(contents, options.count(reduction.unique), output, session.checkpoint)
            for part in exporter.runs():
                work = session.checked(part.stage.name, part.work, folder.batches, folder.hashes)
                session.run(part.stage, work, part.total, part.finished, part.each)
            exported = exporter.finish()
        origin = Origin(
            urls=session.items(),
            stored=session.count("download", DONE),
            failed=session.failures("download"),
            undecodable=session.failures("hash"),
            reduction=reduction,
        )
        text = card(planned, settings, origin, exported, exporter.hosts)
        write_card(output, session.checkpoint, text)
        return exported

    def clusters(
        self,
        *,
        workers: int | None = None,
        recipe: Recipe | None = None,
        reselect: bool = False,
        progress: "Listener | None" = None,
        stop: Stop | None = None,
        **options: Any,
    ) -> "Iterator[Cluster]":
        """Hash what is not hashed, and tell which images an export with these options calls duplicates."""
        from . import dedup
        from .clusters import list_clusters

        check_recipe(recipe)
        selection, _ = _export_options(options)
        folder = self.folder
        with self._session(workers, progress, stop) as session:
            self._hash(session, recipe)
            shards = [head.shard for head in session.heads]
            choice, _ = dedup.preview(
                folder.hashes, folder.dedup, selection, reselect=reselect, shards=shards
            )
        return list_clusters(folder, choice)

    def status(self) -> Status:
        """Where the job stands. Needs no lock."""
        return read_status(self.folder)

    def items(self, *, state: str | None = None, reason: str | None = None) -> "Iterator[ListedItem]":
        """Every URL and what became of it, in order. Needs no lock."""
        from .listing import list_items

        return list_items(self.folder, state=state, reason=reason)

    def verify(self, *, deep: bool = False) -> "Iterator[Finding]":
        """Everything that is wrong with the files of the job; ``deep`` reads every stored byte too."""
        from .verify import verify

        # Where nothing can be written (a medium that is read-only) nobody runs the job either.
        with self.folder.lock() if os.access(self.folder.path, os.W_OK) else nullcontext():
            yield from verify(self.folder, deep)

    def repair(self) -> Iterator[str]:
        """Make damaged items pending again and keep what is intact; tells what was done, file by file.

        Reads every stored byte. Raises JobError for a damaged manifest, which nothing can make again.
        """
        from .repair import repair

        with self.folder.lock():
            yield from repair(self.folder)

    @contextmanager
    def _session(
        self, workers: int | None, progress: "Listener | None", stop: Stop | None
    ) -> "Iterator[Session]":
        from .session import Session, nobody

        check_workers(workers or 0)
        with self.folder.lock(), self.folder.checkpoint() as checkpoint:
            size = self.folder.config.workers if workers is None else workers
            yield Session(checkpoint, self.folder.heads(), size, progress or nobody, stop or Stop())

    def _download_stage(self, workers: int, shards: int) -> "DownloadStage":
        from .download import DownloadStage, lent_connections

        folder = self.folder
        fetch = folder.config.fetch
        fetch.check_files()
        fetch = replace(fetch, connections=lent_connections(fetch.connections, workers, shards))
        digests = folder.config.lists.digest
        return DownloadStage(folder.manifests, folder.batches, folder.hosts, fetch, digests)

    def _hash(self, session: "Session", recipe: Recipe | None) -> None:
        from .hashing import MEMORY_LIMIT, HashStage
        from .session import keep_one_recipe

        folder = self.folder
        check(folder.checkpoint_path)
        recipe = keep_one_recipe(folder, session.checkpoint, recipe)
        rows = {head.shard: head.rows for head in session.heads}
        session.check_stored("download", folder.batches, rows)
        session.check_stored("hash", folder.hashes, session.marked("download", DONE))
        limit = MEMORY_LIMIT if session.workers else None
        stage = HashStage(folder.batches, folder.hashes, limit, recipe)
        work = session.checked("hash", session.stored(), folder.batches)
        session.run(stage, work, session.count("download", DONE))


def _several(lists: str | Path | Sequence[str | Path]) -> list[str]:
    return [str(each) for each in ([lists] if isinstance(lists, str | Path) else lists)]


def _export_options(options: dict[str, Any]) -> tuple[Selection, ExportOptions]:
    """Sort a flat set of options into what is chosen and what is written."""
    selection, writing = take_selection(options), take_writing(options)
    if options:
        raise UsageError(f"There is no option called {', '.join(sorted(options))}.")
    return selection, writing
