"""The frame around every command: errors become one sentence, signals a request to stop."""

import argparse
import os
import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path

from ..engine.errors import OUT_OF_MEMORY
from ..engine.stop import Stop
from ..errors import DamagedError, RunnerError, StageError, StoppedError
from ..job import ERROR_LOG
from ..record import RECORD
from .commands import Console
from .output import Output, OutputError
from .parser import build_parser
from .progress import ProgressBar
from .signals import Interruption


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    _open_streams()
    options = build_parser().parse_args(arguments)
    console = Console(ProgressBar(quiet=getattr(options, "no_progress", False)), Stop())
    interruption = Interruption(console.stop, console.progress)
    try:
        with interruption.handled(), redirect_stdout(Output(sys.stdout)):
            code: int = options.run(options, console)
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        _close_output()  # whoever read it has enough
        return 0
    except (StoppedError, KeyboardInterrupt):
        _say(_how_to_go_on(options))
        return interruption.exit_code
    except OutputError as error:
        _close_output()
        _say(str(error))
        return error.exit_code
    except StageError as error:
        _say(f"{error} {_keep(error, Path(options.job))}")
        return error.exit_code
    except DamagedError as error:
        _say(f"{error} Mend the job: runner repair {shlex.quote(options.job)}")
        return error.exit_code
    except RunnerError as error:
        _say(str(error))
        return error.exit_code
    except MemoryError:
        _say(OUT_OF_MEMORY)
        return 1
    except OSError as error:
        _say(f"The system refused: {error}. What is finished is kept; mend the cause and repeat the command.")
        return 1


def _close_output() -> None:
    """Keep the interpreter from trying again, and complaining, at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_streams() -> None:
    """Stand in for standard streams that are closed: else other files would take their numbers.

    A closed standard input stays None: a list that is to come from there is missing, and not empty.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _say(text: str) -> None:
    with suppress(OSError):  # nobody listens
        print(f"runner: {text}", file=sys.stderr, flush=True)


def _how_to_go_on(options: argparse.Namespace) -> str:
    if options.command == "start" and not (Path(options.job) / RECORD).exists():
        return "Stopped while the list was read; nothing is kept. Start it again."
    if options.command == "add":
        return "Stopped while the list was read; the job is as it was before. Add it again."
    if options.command in ("start", "resume"):
        return f"Stopped. What is finished is kept. Go on with: runner resume {shlex.quote(options.job)}"
    return "Stopped. What is finished is kept; the same command goes on."


def _keep(error: StageError, job: Path) -> str:
    """Write the traceback of a program error where it can be found again."""
    log = job / ERROR_LOG
    try:
        with log.open("a") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {error}\n{error.details}\n")
    except OSError:
        return f"What is finished is kept.\n{error.details}"
    return f"What is finished is kept; the traceback is in {log}. Please report it."
