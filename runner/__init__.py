"""From a list of image URLs to a folder of clean, distinct JPEGs: resumable, crash-proof, fast.

job = runner.Job.create("cats", ["urls.txt"])
job.download()
job.export("cats-jpegs")
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_HOMES = {
    ".engine.stop": ("Stop",),
    ".listing": ("ListedItem",),
    ".pipeline": ("ExportReport", "Job"),
    ".session": ("Listener", "Progress"),
    ".status": ("Status",),
    ".view": ("Images", "StoredItem", "images"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}  # the rest are errors


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: a worker needs few of the modules behind them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF.get(name, ".errors"), __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
