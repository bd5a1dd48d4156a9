"""What may be chosen for an export."""

from dataclasses import dataclass

from ..errors import UsageError


@dataclass(frozen=True)
class ExportOptions:
    """``quality`` of re-encoded JPEGs (1 to 100); ``limit``: only the first so many images, in item order."""

    format: str = "folder"
    quality: int = 90
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.format != "folder":
            raise UsageError(f"No export format is called {self.format!r}; there is: folder.")
        if not 1 <= self.quality <= 100:
            raise UsageError(f"A JPEG quality is a number from 1 to 100, not {self.quality}.")
        if self.limit is not None and self.limit < 0:
            raise UsageError(f"A limit is a number of images, not {self.limit}.")
