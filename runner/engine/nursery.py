"""The nursery: the process that the workers of a run are forked from.

What all of them need is imported here, once: to fork takes a few milliseconds, to start a Python and import
takes hundreds. The nursery has one thread, and no file but its connection and the claims, so what it forks is
as good as new.

Messages to the nursery:     "f" worker number, with the descriptors of connection and board | "w" process id
Its answers, a number each:  the process id, or an error number, negative | the exit status
"""

import contextlib
import gc
import os
import pickle
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, NamedTuple

from .claims import Claims
from .closing import Closing
from .errors import WorkerError
from .items import Stage
from .worker import run

# So many nurseries may be killed in a row, before one has forked, until the run is given up.
ATTEMPTS = 5
# One that does not answer for so long is as good as killed: it is stopped, or what it imports is not there.
ANSWER_SECONDS = 60.0
_REQUEST = struct.Struct("=cI")
_ANSWER = struct.Struct("=i")
_FORK, _WAIT = b"f", b"w"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Nursery(Closing):
    """The nursery of a run as the parent sees it: started when first needed, replaced when it was killed.

    It ends by itself when the parent is gone.
    """

    def __init__(self, stage: Stage[Any], claims: Claims) -> None:
        self._stage = stage
        self._claims = claims
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    def fork(self, number: int, board: int) -> "Forked":
        """Start a worker, with this descriptor as its board.

        Raises OSError where the system allows no more processes, WorkerError if there can be no nursery.
        """
        for _ in range(ATTEMPTS):
            nursery = self._connection()
            ours, theirs = Pipe()
            with theirs:
                answer = _ask(nursery, _FORK, number, [theirs.fileno(), board])
            if answer is not None and answer > 0:
                with contextlib.suppress(ProcessLookupError):  # both were killed meanwhile
                    return Forked(nursery, answer, ours)
                answer = None
            ours.close()  # one that was killed may have forked a worker all the same: so that ends too
            if answer is not None:
                raise OSError(-answer, os.strerror(-answer))
            self._bury()
        raise WorkerError(
            f"The process that starts the workers of the {self._stage.name} stage was killed {ATTEMPTS} "
            "times. What is finished is kept; look at the free memory, then resume."
        )

    def _connection(self) -> socket.socket:
        if self._socket is None:
            self._socket, theirs = socket.socketpair()
            self._socket.settimeout(ANSWER_SECONDS)
            with theirs:
                self._process = _start([theirs.fileno(), self._claims.fileno()])
            assert self._process.stdin is not None
            with contextlib.suppress(OSError), self._process.stdin as file:
                file.write(pickle.dumps(self._stage.warm_up))
        return self._socket

    def _bury(self) -> None:
        """Account for a nursery that has ended; WorkerError if another would end likewise."""
        self.close()
        code = self._process.returncode if self._process else 0
        if code > 0:
            raise WorkerError(
                f"Worker processes of the {self._stage.name} stage cannot be started (exit code {code}). "
                "What is finished is kept; look at the messages above and at the free memory, then resume."
            )

    def close(self) -> None:
        """End it: it has nothing to lose."""
        if self._process is not None and self._socket is not None:
            self._socket.close()
            self._socket = None
            self._process.kill()
            self._process.wait()


def _ask(nursery: socket.socket, request: bytes, number: int, descriptors: Sequence[int] = ()) -> int | None:
    """The answer; None if it was killed."""
    try:
        socket.send_fds(nursery, [_REQUEST.pack(request, number)], descriptors)
        answer = nursery.recv(_ANSWER.size, socket.MSG_WAITALL)
    except BaseException as error:
        nursery.close()  # or the next one to ask would get this answer
        if isinstance(error, OSError):
            return None
        raise
    return _ANSWER.unpack(answer)[0] if len(answer) == _ANSWER.size else None


class Forked:
    """A worker process: no child of ours, but of the nursery at the other end of this connection.

    Only that one knows how it ended, and not the one that may have replaced it.
    """

    def __init__(self, nursery: socket.socket, pid: int, connection: "Connection[Any, Any]") -> None:
        self._nursery = nursery
        self._pid = pid
        self.connection = connection
        # Another process may get the number when this one is gone and so is the nursery.
        self._descriptor = os.pidfd_open(pid)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code, negative for a signal; that of a kill if nobody knows."""
        end = select.poll()  # select itself takes no descriptor beyond 1,023
        end.register(self._descriptor, select.POLLIN)
        end.poll()
        status = _ask(self._nursery, _WAIT, self._pid)
        os.close(self._descriptor)
        return -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)


def _start(descriptors: list[int]) -> "subprocess.Popen[bytes]":
    entry = f"from {__package__}.nursery import main; main()"
    # A Ctrl-C reaches the whole process group: blocked until it is ignored.
    old = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", entry, *map(str, descriptors)],
            pass_fds=descriptors,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            # A worker is one of many: numpy's library of linear algebra needs no threads of its own.
            env={
                "OPENBLAS_NUM_THREADS": "1",
                **os.environ,
                # An empty entry stands for the folder of the moment, which -P forbids.
                "PYTHONPATH": os.pathsep.join(os.fspath(path) or str(Path.cwd()) for path in sys.path),
            },
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, old)


class Start(NamedTuple):
    """What a worker begins with: its number, its descriptors."""

    number: int
    connection: int
    board: int
    claims: int


def main() -> None:
    """Entry point of the process; its arguments: descriptors of the connection and of the claims."""
    # The parent decides when to stop; it started us with these signals blocked.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    # Whoever has it ignored hands that down, and then nobody learns how a worker ended.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # A stage may want thousands of sockets; the usual soft limit of 1,024 is only a default.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    pickle.load(sys.stdin.buffer)()
    gc.freeze()  # what is here now stays: neither looked through again and again, nor copied after a fork
    with socket.socket(fileno=int(sys.argv[1])) as parent:
        start = _forked(parent, int(sys.argv[2]))
    if start is not None:
        run(*start)
    os._exit(0)  # there is nothing to clean up


def _forked(parent: socket.socket, claims: int) -> Start | None:
    """Serve the parent. Returns in each worker, with what it begins with; and at the end, with None."""
    while True:
        request, descriptors, _, _ = socket.recv_fds(parent, _REQUEST.size, 2)
        if not request:
            return None
        kind, number = _REQUEST.unpack(request)
        if kind == _WAIT:
            answer = os.waitpid(number, 0)[1]
        else:
            answer = _fork()
            if answer == 0:
                connection, board = descriptors
                return Start(number, connection, board, claims)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(OSError):  # the parent is gone
            parent.sendall(_ANSWER.pack(answer))


def _fork() -> int:
    try:
        return os.fork()
    except OSError as error:
        return -(error.errno or 1)
