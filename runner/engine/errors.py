"""What can end a run. An item that fails is a mark; only these are raised.

RunnerError             root; ``exit_code`` 1
├── StoreError          an LMDB file cannot be opened, read or written
│   └── DiskFullError   no room left for it
├── BusyError           another process is running the job
├── WorkerError         worker processes die without getting anywhere
└── StageError          a program error inside a stage; carries the traceback
"""


class RunnerError(Exception):
    """One sentence that says what went wrong and what to do about it."""

    exit_code = 1


class StoreError(RunnerError):
    """An LMDB file cannot be opened, read or written."""


class DiskFullError(StoreError):
    """A disk has no room left; everything committed before is kept."""


class BusyError(RunnerError):
    """Another process holds the job."""


class WorkerError(RunnerError):
    """Worker processes die again and again without finishing an item."""


class StageError(RunnerError):
    """A program error inside a stage: not the fault of any item."""

    def __init__(self, message: str, details: str = "") -> None:
        super().__init__(message, details)
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return self.message


class StoppedError(RunnerError):
    """The run was asked to stop, and did; everything finished is kept."""
