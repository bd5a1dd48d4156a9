"""The command line: the only part of runner that prints, handles signals and exits."""

from .main import main

__all__ = ["main"]
