"""What can end a run. An item that fails is a mark; only these are raised.

RunnerError             root; ``exit_code`` 1
├── StoreError          an LMDB file cannot be opened, read or written
│   ├── DiskFullError   no room left for it
│   └── DamagedError    it does not hold what was written to it
├── BusyError           another process is running the job
├── WorkerError         worker processes die without getting anywhere
└── StageError          a program error inside a stage; carries the traceback
"""

from pathlib import Path

OUT_OF_MEMORY = (
    "Out of memory: work with fewer --workers, or raise the limit (ulimit, container), then resume."
)


class RunnerError(Exception):
    """One sentence that says what went wrong and what to do about it."""

    exit_code = 1


class StoreError(RunnerError):
    """An LMDB file cannot be opened, read or written."""


class DiskFullError(StoreError):
    """A disk has no room left; everything committed before is kept."""


class DamagedError(StoreError):
    """A file of the job does not hold what was written to it."""

    def __init__(self, path: Path | str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path} is damaged: {self.problem}."


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
