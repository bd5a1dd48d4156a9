"""Every error a user can meet, in one tree; the command line prints the message and exits with its code.

RunnerError                 exit 1; the engine's own (store, disk, lock, workers) hang below it
├── engine errors           see ``runner.engine.errors``
├── JobError                the job folder is missing, not a job, or not usable by this version
├── ListError               a URL list is missing, empty or unreadable
└── UsageError              exit 2; an option or argument makes no sense
"""

from .engine.errors import (
    BusyError,
    DamagedError,
    DiskFullError,
    RunnerError,
    StageError,
    StoppedError,
    StoreError,
    WorkerError,
)

__all__ = [
    "BusyError",
    "DamagedError",
    "DiskFullError",
    "JobError",
    "ListError",
    "RunnerError",
    "StageError",
    "StoppedError",
    "StoreError",
    "UsageError",
    "WorkerError",
]


class JobError(RunnerError):
    """The job folder is missing, not a job, or not usable as it is."""


class ListError(RunnerError):
    """A URL list is missing, empty or unreadable."""


class UsageError(RunnerError):
    """An option or argument makes no sense."""

    exit_code = 2
