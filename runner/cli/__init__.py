"""The command line: the only part of runner that prints, handles signals and exits."""

import atexit
import gc
from collections.abc import Sequence

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    atexit.register(gc.freeze)  # to look for garbage when all of it goes takes a tenth of a short command
    try:
        from .main import main as run  # a Ctrl-C while the modules are loaded is no error either

        return run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED


__all__ = ["main"]
