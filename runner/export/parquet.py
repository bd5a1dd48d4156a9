"""Parquet: one file per shard, with the columns of the metadata and ``image``, the encoded bytes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar

from ..errors import RunnerError
from .column_types import JSON, TEXT, Columns, Features, row_of
from .contents import Sample

# A row group is complete with so many bytes of images, or so many rows. It is held in memory.
GROUP_BYTES = 16 << 20
GROUP_ROWS = 1000


@dataclass(frozen=True)
class Parquet:
    """How a file is written, of rows with these columns."""

    columns: tuple[tuple[str, str], ...]
    suffix: ClassVar[str] = ".parquet"

    @classmethod
    def of(cls, columns: Columns) -> "Parquet":
        """Raises RunnerError where pyarrow is missing."""
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise RunnerError(
                "Parquet files need pyarrow, which is not installed: pip install 'runner-images[parquet]'."
            ) from None
        return cls(tuple(columns.items()))

    def write(self, file: BinaryIO, samples: Iterator[Sample | None]) -> Iterator[None]:
        """Write the samples, pausing after each; None is passed over."""
        import pyarrow.parquet

        columns = dict(self.columns)
        schema = self._schema()
        with pyarrow.parquet.ParquetWriter(file, schema, **_options(list(columns))) as writer:
            group: list[list[Any]] = []
            size = 0
            for sample in samples:
                if sample is not None:
                    group.append([sample.image, *row_of(sample.line, columns)])
                    size += len(sample.image)
                if size >= GROUP_BYTES or len(group) == GROUP_ROWS:
                    writer.write_table(_table(group, schema))
                    group, size = [], 0
                yield
            if group:
                writer.write_table(_table(group, schema))

    def features(self) -> Features:
        """Name and type of every column, as the Hugging Face `datasets` call them."""
        return [("image", "image"), *((name, TEXT if kind == JSON else kind) for name, kind in self.columns)]

    def _schema(self) -> Any:
        import pyarrow

        types = {JSON: pyarrow.string()}
        fields = [(name, types.get(kind) or pyarrow.type_for_alias(kind)) for name, kind in self.columns]
        return pyarrow.schema([("image", pyarrow.binary()), *fields])


def _table(rows: list[list[Any]], schema: Any) -> Any:
    import pyarrow

    values = zip(*rows, strict=True)
    arrays = [pyarrow.array(column, field.type) for column, field in zip(values, schema, strict=True)]
    return pyarrow.Table.from_arrays(arrays, schema=schema)


def _options(columns: list[str]) -> dict[str, Any]:
    """Of the writer: images are compressed already, and no two are equal."""
    return {
        "compression": {"image": "none", **dict.fromkeys(columns, "zstd")},
        "use_dictionary": columns,
        "write_statistics": columns,
    }
