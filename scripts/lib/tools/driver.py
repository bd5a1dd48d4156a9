"""`runner` driven from outside, by its command line, as a user drives it."""

import hashlib
import json
import math
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .children import Child

RUNNER = (sys.executable, "-m", "runner")


class CommandFailed(Exception):
    """A command ended with another exit code than expected, or did not do its work; the message tells."""


class Job:
    """One job folder and the commands on it, each in a process tree of its own: see ``Child``.

    ``announce`` hears every command line, as a user would type it, before it runs. Without it commands are
    quiet, but for their errors.
    """

    def __init__(self, folder: Path, announce: Callable[[str], None] | None = None) -> None:
        self.folder = folder
        self._announce = announce

    def start(self, urls: Path, *options: str) -> Child:
        return self._launch("start", self.folder, urls, *options)

    def resume(self, *options: str) -> Child:
        return self._launch("resume", self.folder, *options)

    def export(self, out: Path, *options: str) -> Child:
        return self._launch("export", self.folder, out, *options)

    def status(self) -> dict[str, Any]:
        """The object of `runner status --json`; raises CommandFailed while there is no job yet."""
        answer: dict[str, Any] = json.loads(self.ask("status", self.folder, "--json"))
        return answer

    def items(self) -> list[dict[str, Any]]:
        """The objects of `runner ls --json`, one for each URL, in item order."""
        return [json.loads(line) for line in self.ask("ls", self.folder, "--json").splitlines()]

    def bodies(self) -> Iterator[tuple[str, bytes]]:
        """(URL, bytes) of every stored image, read as a program of the user's would."""
        import runner  # only here: what else is done is done from outside

        for item, body in runner.images(self.folder):
            yield item.url, body

    def ask(self, *arguments: str | Path) -> str:
        """Run a command that only reads, and return what it prints."""
        done = subprocess.run([*RUNNER, *arguments], capture_output=True, text=True)
        if done.returncode:
            raise CommandFailed(f"runner {' '.join(map(str, arguments))}: {done.stderr or done.stdout}")
        return done.stdout

    def _launch(self, *arguments: str | Path) -> Child:
        if self._announce is None:
            return Child([*RUNNER, *arguments], stdout=subprocess.DEVNULL)
        self._announce(command_line(*arguments))
        return Child([*RUNNER, *arguments])


def command_line(*arguments: str | Path, program: str | Path = "runner") -> str:
    return shlex.join(tell(argument) for argument in (program, *arguments))


def to_paste(*arguments: str | Path) -> str:
    """The command line of a `runner` command that works without an activated environment."""
    return command_line(*arguments, program=Path(sys.executable).with_name("runner"))


def tell(argument: str | Path) -> str:
    """A path as seen from here; anything else as it is."""
    if isinstance(argument, Path) and argument.is_relative_to(Path.cwd()):
        return str(argument.relative_to(Path.cwd()))
    return str(argument)


def finish(child: Child) -> None:
    """Wait until the command has ended well."""
    with child:
        code = child.wait()
    if code:
        raise CommandFailed(f"{' '.join(child.command)} ended with {code}")


def cost_of_a_kill(workers: int, connections: int, rate: float) -> int:
    """How many images a kill may cost, so that they are fetched again: in flight or not yet committed.

    ``rate``: images a second. A worker commits what it has when that is ``CHUNK_SECONDS`` old; meanwhile
    the chunk before it may still be on its way to the disk.
    """
    from runner.engine.writer import CHUNK_ITEMS, CHUNK_SECONDS

    uncommitted: float = min(2 * CHUNK_ITEMS * workers, 2 * CHUNK_SECONDS * rate)
    return workers * connections + math.ceil(uncommitted)


def digests(folder: Path) -> dict[str, str]:
    """The sha256 of every file below a folder, by its path in it."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
