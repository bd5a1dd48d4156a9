"""Metadata alone, as one table: ``metadata.jsonl`` or ``metadata.csv``."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO
from typing import Any, ClassVar, Protocol

from .column_types import Columns, row_of
from .folder import METADATA
from .metadata import Line, as_json


class Table(Protocol):
    """A kind of table."""

    @property
    def name(self) -> str:
        """Of the file."""
        ...

    def encode(self, lines: Iterator[Line]) -> Iterator[bytes]:
        """The file, piece by piece."""
        ...


class JsonLines:
    """One object per line, as in the export of a folder."""

    name: ClassVar[str] = METADATA

    def encode(self, lines: Iterator[Line]) -> Iterator[bytes]:
        for line in lines:
            yield as_json(line) + b"\n"


@dataclass(frozen=True)
class Csv:
    """A line of names, then one row per image. Nothing stands for what a row does not have."""

    columns: Columns
    name: ClassVar[str] = "metadata.csv"

    def encode(self, lines: Iterator[Line]) -> Iterator[bytes]:
        text = StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(self.columns)
        for line in lines:
            writer.writerow(map(_as_text, row_of(line, self.columns)))
            yield _drain(text)
        yield _drain(text)


def _as_text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, bool) else value


def _drain(text: StringIO) -> bytes:
    data = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return data
