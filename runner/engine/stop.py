"""How a run is asked to stop."""

import time

# After the first request, what is in flight may take so long to finish.
GRACE_SECONDS = 2.0


class Stop:
    """A request to stop: asked once, what is in flight may finish; asked twice, the run ends at once."""

    def __init__(self) -> None:
        self._count = 0
        self._since = 0.0

    def ask(self) -> None:
        """Safe to call from a signal handler or another thread."""
        self._since = self._since or time.monotonic()
        self._count += 1

    @property
    def asked(self) -> bool:
        return self._count > 0

    @property
    def urgent(self) -> bool:
        """Asked twice: end now, what is not committed yet is done again later."""
        return self._count > 1

    @property
    def overdue(self) -> bool:
        """What is in flight has had its time."""
        return self.urgent or (self.asked and time.monotonic() - self._since > GRACE_SECONDS)
