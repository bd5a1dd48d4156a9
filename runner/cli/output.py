"""Standard output that says that it is to blame when it takes nothing more."""

from typing import TextIO

from ..errors import RunnerError


class OutputError(RunnerError):
    """Standard output, a full disk for example, cannot be written to."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"Cannot write to standard output: {error.strerror}. What is finished is kept; write it to "
            "another place and repeat the command."
        )


class Output:
    """A stream whose errors are OutputError; but a reader who has enough is BrokenPipeError."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error) from error

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(error) from error
