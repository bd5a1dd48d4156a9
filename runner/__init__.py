"""From a list of image URLs to a folder of clean, distinct JPEGs: resumable, crash-proof, fast.

job = runner.Job.create("cats", ["urls.txt"])
job.download()
job.export("cats-jpegs")
"""

from .engine.stop import Stop
from .errors import (
    BusyError,
    DamagedError,
    DiskFullError,
    JobError,
    ListError,
    RunnerError,
    StageError,
    StoppedError,
    StoreError,
    UsageError,
    WorkerError,
)
from .listing import ListedItem
from .pipeline import ExportReport, Job
from .session import Listener, Progress
from .status import Status
from .view import Images, StoredItem, images

__version__ = "0.1.0"

__all__ = [
    "BusyError",
    "DamagedError",
    "DiskFullError",
    "ExportReport",
    "Images",
    "Job",
    "JobError",
    "ListError",
    "ListedItem",
    "Listener",
    "Progress",
    "RunnerError",
    "StageError",
    "Status",
    "Stop",
    "StoppedError",
    "StoreError",
    "StoredItem",
    "UsageError",
    "WorkerError",
    "images",
]
