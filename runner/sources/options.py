"""What a user can say about URL lists."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..errors import UsageError

FORMATS = ("txt", "csv", "tsv", "json", "jsonl", "parquet")
ALGORITHMS = ("sha256", "md5", "sha512")
ALL = ("all",)
NONE = ("none",)
# The settings that say something about columns, which a text list has none of.
OF_COLUMNS = frozenset({"url_col", "columns", "verify_hash"})

MAX_SEED = (1 << 64) - 1


class DigestColumn(NamedTuple):
    """The column that holds the digest an image must have, and the digest's algorithm."""

    column: str
    algorithm: str


@dataclass(frozen=True)
class ListOptions:
    """The settings of reading lists, primitive values only, so that they can be kept as JSON.

    input_format  one of FORMATS for every list; None goes by the extension of each
    url_col       the column with the URLs; None looks for one (``columns.USUAL_NAMES``)
    columns       the other columns that are carried along: names, or ``all``, or ``none``
    verify_hash   "COLUMN:sha256" (md5, sha512): images must have the digest in this column
    shuffle       take the rows in another order, which the URLs and ``seed`` decide
    seed          of that order

    Raises UsageError when a value makes no sense.
    """

    input_format: str | None = None
    url_col: str | None = None
    columns: tuple[str, ...] = ALL
    verify_hash: str | None = None
    shuffle: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.input_format is not None and self.input_format not in FORMATS:
            raise UsageError(f"--input-format is one of {', '.join(FORMATS)}, not {self.input_format!r}.")
        object.__setattr__(self, "columns", _names(self.columns))
        if not self.columns:
            raise UsageError("--columns is names of columns, or all, or none.")
        if self.digest is not None and (not self.digest.column or self.digest.algorithm not in ALGORITHMS):
            raise UsageError(f"--verify-hash must look like 'COLUMN:{'|'.join(ALGORITHMS)}'.")
        if not 0 <= self.seed <= MAX_SEED:
            raise UsageError(f"--seed is a number from 0 to {MAX_SEED}.")

    def without(self, names: Collection[str]) -> "ListOptions":
        """The same, with these settings as they are by default."""
        defaults = vars(ListOptions())
        return replace(self, **{name: defaults[name] for name in names})

    @property
    def digest(self) -> DigestColumn | None:
        """``verify_hash`` taken apart."""
        if self.verify_hash is None:
            return None
        column, _, algorithm = self.verify_hash.rpartition(":")
        return DigestColumn(column, algorithm)

    def naming_columns(self) -> list[str]:
        """Those that are set and make sense only for lists that have columns, as on the command line."""
        named = {
            "--url-col": self.url_col is not None,
            "--columns": self.columns not in (ALL, NONE),
            "--verify-hash": self.verify_hash is not None,
        }
        return [flag for flag, is_set in named.items() if is_set]


def _names(columns: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Names as they are given: separated by commas, or one by one."""
    if isinstance(columns, str):
        return tuple(filter(None, map(str.strip, columns.split(","))))
    return tuple(columns)
