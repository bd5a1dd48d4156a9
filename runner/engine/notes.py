"""A second copy of a checkpoint's notes, in a file of its own: no other file of a job knows what they say.

One record, sealed: msgpack map of name -> bytes. It takes its place by rename.
"""

import os
from pathlib import Path

import msgpack

from .errors import DamagedError
from .files import disk_errors, sync_folder
from .seal import SealError, seal, unseal

_KEY = b"notes"


class NotesCopy:
    """The copy beside a checkpoint."""

    def __init__(self, checkpoint: Path) -> None:
        self.path = checkpoint.with_suffix(".notes")

    def read(self) -> dict[str, bytes]:
        """All notes; none if there is no file. Raises DamagedError."""
        try:
            return dict(msgpack.unpackb(unseal(_KEY, self.path.read_bytes())))
        except FileNotFoundError:
            return {}
        except SealError as error:
            raise DamagedError(self.path, str(error)) from error

    def add(self, notes: dict[str, bytes]) -> None:
        """Keep these too, durably. Raises DamagedError if the others cannot be read."""
        sealed = seal(_KEY, msgpack.packb({**self.read(), **notes}))
        draft = self.path.with_name(f"{self.path.name}.tmp")
        with disk_errors("write to", self.path.parent, "repeat the command"):
            with draft.open("wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
            sync_folder(self.path.parent)
