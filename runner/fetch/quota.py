"""Limits per host that hold over all processes of a job: a cap, and a rate.

They meet in one file. A place at a host is a lock on a byte of it, which the kernel takes back from a process
that dies, however it dies. The rate is one number per host: when the next request may be made.
"""

import fcntl
import os
import struct
from pathlib import Path
from zlib import crc32

# Hosts are told apart by a hash of their names. Two that share a spot share its limits, so a limit is never
# exceeded, and with so many spots it is rarely too strict.
_SPOTS = 1 << 20

# Seconds after which a place is asked for again, when other processes have all of them.
_LOOK_AGAIN = 0.03

_TIME = struct.Struct("d")  # of time.monotonic(), which all processes of one machine share
_LOCK = struct.Struct("hhqqi4x")  # struct flock
_PLACES = _SPOTS * _TIME.size  # where the bytes of the places begin, behind the times


class Quota:
    """At most ``per_host`` exchanges at a time and ``rate`` per second for each host; 0 for no limit."""

    def __init__(self, path: Path, per_host: int, rate: float) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self._per_host = per_host
        self._gap = 1 / rate if rate else 0.0
        self._taken: dict[str, list[int]] = {}
        self._ours: set[int] = set()

    def enter(self, host: str, now: float) -> float | None:
        """None if an exchange may begin, which is to be followed by ``leave``; else when to ask again."""
        spot = crc32(host.encode()) % _SPOTS
        place = self._take_place(spot) if self._per_host else None
        if self._per_host and place is None:
            return now + _LOOK_AGAIN
        due = self._take_turn(spot, now) if self._gap else now
        if due > now:
            self._give_back(place)
            return due
        if place is not None:
            self._taken.setdefault(host, []).append(place)
        return None

    def leave(self, host: str) -> None:
        """An exchange with the host is over."""
        places = self._taken.get(host, [])
        self._give_back(places.pop() if places else None)
        if not places:
            self._taken.pop(host, None)

    def close(self) -> None:
        """Give everything back."""
        os.close(self._file)

    def _take_place(self, spot: int) -> int | None:
        first = _PLACES + spot * self._per_host
        for place in range(first, first + self._per_host):
            if place not in self._ours and self._lock(fcntl.F_OFD_SETLK, fcntl.F_WRLCK, place):
                self._ours.add(place)
                return place
        return None

    def _give_back(self, place: int | None) -> None:
        if place is not None:
            self._ours.remove(place)
            self._lock(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, place)

    def _take_turn(self, spot: int, now: float) -> float:
        """When the next request may be made; if that is now or past, it is taken to be made."""
        at = spot * _TIME.size
        self._lock(fcntl.F_OFD_SETLKW, fcntl.F_WRLCK, at)
        try:
            data = os.pread(self._file, _TIME.size, at)
            (due,) = _TIME.unpack(data) if data else (0.0,)
            if now < due <= now + self._gap:  # a later one was written before this machine was restarted
                return float(due)
            # Being a little late costs nothing: the next one is due when it would have been.
            began = due if now - self._gap < due <= now else now
            os.pwrite(self._file, _TIME.pack(began + self._gap), at)
            return now
        finally:
            self._lock(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, at)

    def _lock(self, command: int, kind: int, at: int) -> bool:
        """Lock or unlock a byte. The lock is the open file's, so that it ends with the process."""
        try:
            fcntl.fcntl(self._file, command, _LOCK.pack(kind, os.SEEK_SET, at, 1, 0))
        except BlockingIOError:
            return False
        return True
