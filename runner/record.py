"""job.json: the record of a job; the last thing written when it is made, and replaced by rename."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Self
from zlib import crc32

from .config import JobConfig
from .engine.files import sync_folder
from .engine.store import LMDB_ENGINE
from .errors import JobError, UsageError
from .manifest import Summary

FORMAT = 1
"""Version of the job folder. A reader refuses a newer one."""

RECORD = "job.json"
DRAFT = RECORD + ".partial"


class NoRecordError(Exception):
    """The folder has no job.json."""


class Uncounted(NamedTuple):
    """Lines that no manifest counts: those of additions that brought no item."""

    repeats: int = 0
    blank: int = 0


NONE_UNCOUNTED = Uncounted()


@dataclass(frozen=True)
class Record:
    """What job.json says. A shard is part of the job once it is counted here."""

    config: JobConfig
    shards: int
    uncounted: Uncounted = NONE_UNCOUNTED

    def grown(self, summary: Summary) -> Self:
        """After an addition."""
        uncounted = self.uncounted
        if not summary.shards:
            uncounted = Uncounted(uncounted.repeats + summary.repeats, uncounted.blank + summary.blank)
        return replace(self, shards=self.shards + summary.shards, uncounted=uncounted)

    def write(self, folder: Path) -> None:
        """Replace job.json, durably and at once."""
        draft = folder / DRAFT
        data = {"format": FORMAT, "lmdb": LMDB_ENGINE, **self.config.to_json()}
        data |= {"shards": self.shards, "uncounted": self.uncounted._asdict()}
        with draft.open("w") as file:
            json.dump({**data, "crc32": _checksum(data)}, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(folder / RECORD)
        sync_folder(folder)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Raises NoRecordError if there is none, JobError with the remedy if it cannot be read."""
        path = folder / RECORD
        try:
            data = json.loads(path.read_text())
            version = data["format"]
        except (FileNotFoundError, NotADirectoryError):
            raise NoRecordError from None
        except OSError as error:
            raise JobError(f"Cannot read {path}: {error.strerror}.") from error
        except (ValueError, KeyError, TypeError):
            raise JobError(f"{path} is damaged: restore it from a copy.") from None
        if version != FORMAT:
            raise JobError(
                f"{folder} has job format {version}, and this runner reads format {FORMAT}: upgrade runner."
            )
        if data.pop("crc32", None) != _checksum(data):
            raise JobError(
                f"{path} is damaged, or was changed by hand: restore it from a copy. What may be changed "
                "is given to `runner resume`."
            )
        try:
            return cls(JobConfig.from_json(data), data["shards"], Uncounted(**data["uncounted"]))
        except (KeyError, TypeError, UsageError) as error:
            raise JobError(f"{path} is damaged ({error}): restore it from a copy.") from None


def _checksum(data: dict[str, Any]) -> int:
    return crc32(json.dumps(data, sort_keys=True).encode())
