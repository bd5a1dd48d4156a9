"""From a list of image URLs to a folder of clean, distinct JPEGs: resumable, crash-proof, fast.

job = runner.Job.create("cats", ["urls.txt"])
job.download()
job.export("cats-jpegs")
"""

from .errors import (
    BusyError,
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
from .pipeline import ExportReport, Job
from .session import Progress
from .view import Images, StoredItem, images

__version__ = "0.1.0"

__all__ = [
    "BusyError",
    "DiskFullError",
    "ExportReport",
    "Images",
    "Job",
    "JobError",
    "ListError",
    "Progress",
    "RunnerError",
    "StageError",
    "StoppedError",
    "StoreError",
    "StoredItem",
    "UsageError",
    "WorkerError",
    "images",
]
