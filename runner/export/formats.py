"""The formats of an export: what is asked for becomes what does it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..engine.checkpoint import Checkpoint
from ..errors import UsageError
from ..export_options import ExportOptions
from .column_types import Columns, Features, columns_of
from .contents import Contents
from .exporter import Exporter, FolderExport, TableExport
from .metadata import OWN_COLUMNS, REPEATS, carried
from .output import LocalFolder, Output
from .parquet import Parquet
from .shards import ShardFormat, ShardsExport, ShardStage
from .stage import ExportStage
from .tables import Csv, JsonLines, Table
from .webdataset import WebDataset


class Plan(NamedTuple):
    """How to export in a format.

    ``data_files``  the files in OUT that hold the data, as a pattern
    ``features``    columns and their types, where a reader has to be told
    ``exporter``    from the contents, how many images are wanted, the output and the checkpoint
    """

    data_files: str
    features: Features
    exporter: Callable[[Contents, int, Output, Checkpoint], Exporter]


def plan(options: ExportOptions, manifests: Sequence[Path], repeats: bool = False) -> Plan:
    """What to do for these options; ``repeats`` tells whether any carried columns.

    Raises UsageError for a column that no list has, RunnerError.
    """
    match options.format:
        case "folder":
            return Plan("**", (), _folder)
        case "webdataset":
            columns = columns_of(manifests, repeats)
            webdataset = WebDataset(_caption(options.caption_col, columns))
            return _by_shard(webdataset, webdataset.features(columns, options.rendering.suffix))
        case "parquet":
            parquet = Parquet.of(columns_of(manifests, repeats))
            return _by_shard(parquet, parquet.features())
        case "jsonl":
            return _as_table(JsonLines())
        case "csv":
            return _as_table(Csv(columns_of(manifests, repeats)))
    raise AssertionError(f"ExportOptions lets no format through that is called {options.format!r}")


def _folder(contents: Contents, wanted: int, out: Output, checkpoint: Checkpoint) -> Exporter:
    if isinstance(out, LocalFolder):
        stage = ExportStage(contents.batches, contents.hashes, out, contents.rendering)
    else:
        from .remote import RemoteExportStage

        stage = RemoteExportStage(contents.batches, contents.hashes, out, contents.rendering)
    return FolderExport(stage, contents, wanted, checkpoint)


def _by_shard(kind: ShardFormat, features: Features = ()) -> Plan:
    def exporter(contents: Contents, wanted: int, out: Output, checkpoint: Checkpoint) -> Exporter:
        return ShardsExport(ShardStage(contents, out, kind), wanted, checkpoint)

    return Plan(f"*{kind.suffix}", features, exporter)


def _as_table(table: Table) -> Plan:
    return Plan(table.name, (), lambda contents, _, out, __: TableExport(table, contents, out))


def _caption(column: str | None, columns: Columns) -> str | None:
    """A column of the lists as it is called in an export."""
    if column is None:
        return None
    name = next(iter(carried({column: None})))
    if name not in columns:
        others = ", ".join(other for other in columns if other not in (*OWN_COLUMNS, REPEATS)) or "none"
        raise UsageError(f"--caption-col: the lists have no column called {column!r}; there are: {others}.")
    return name
