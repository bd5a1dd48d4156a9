"""The configuration of a job: everything that `start` is told."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from .errors import UsageError
from .fetch.options import FetchOptions
from .sources.options import ListOptions

MAX_WORKERS = 256

# What a job may change after its start: none of it decides what the job holds.
CHANGEABLE = frozenset(
    {"workers", "transport", "connections", "timeout", "connect_timeout", "retries", "max_wait"}
    | {"per_host", "rate", "user_agent", "headers", "proxy", "ca_bundle"}
)

# How a list is read, which may be another way for each list that is added.
READING = frozenset({"input_format", "url_col", "columns", "shuffle", "seed"})


@dataclass(frozen=True)
class JobConfig:
    """What `start` was told, kept in job.json; only what is ``CHANGEABLE`` is ever replaced."""

    workers: int = 8
    shard_size: int = 10_000
    fetch: FetchOptions = field(default_factory=FetchOptions)
    lists: ListOptions = field(default_factory=ListOptions)

    def __post_init__(self) -> None:
        check_workers(self.workers)
        if self.shard_size < 1:
            raise UsageError("--shard-size must be at least 1.")

    @classmethod
    def from_options(cls, **options: Any) -> Self:
        """The configuration from a flat set of options, named as on the command line."""
        _check_names(options, _OWN + _FETCH + _LISTS)
        fetch = FetchOptions(**_taken(options, _FETCH))
        fetch.check_files()
        return cls(**_taken(options, _OWN), fetch=fetch, lists=ListOptions(**_taken(options, _LISTS)))

    def options(self) -> dict[str, Any]:
        """The flat set of options that makes this configuration."""
        flat = {name: getattr(self, name) for name in _OWN}
        flat |= {name: getattr(self.fetch, name) for name in _FETCH}
        return flat | {name: getattr(self.lists, name) for name in _LISTS}

    def changed(self, **settings: Any) -> Self:
        """The same with other settings. Raises UsageError for one that is frozen or that makes no sense."""
        present = self.options()
        _check_names(settings, tuple(present))
        after = self.from_options(**present | settings)
        wanted = after.options()
        for name in sorted(settings.keys() - CHANGEABLE):
            if wanted[name] != present[name]:
                raise UsageError(
                    f"--{name.replace('_', '-')} is frozen, as it decides what the job holds: here it is "
                    f"{_shown(present[name])}. To have it otherwise, start a new job."
                )
        return after

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        lists = ListOptions(**data["lists"])
        return cls(data["workers"], data["shard_size"], FetchOptions(**data["fetch"]), lists)


def _shown(value: Any) -> str:
    """A setting as it stands on the command line."""
    if value is None or isinstance(value, bool):
        return "given" if value else "not given"
    return ",".join(value) if isinstance(value, tuple) else str(value)


_OWN = ("workers", "shard_size")
_FETCH = tuple(entry.name for entry in fields(FetchOptions))
_LISTS = tuple(entry.name for entry in fields(ListOptions))


def _check_names(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    unknown = given.keys() - set(known)
    if unknown:
        raise UsageError(f"There is no option called {', '.join(sorted(unknown))}.")


def _taken(options: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


def check_workers(workers: int) -> None:
    """Raise UsageError if so many worker processes make no sense."""
    if not 0 <= workers <= MAX_WORKERS:
        raise UsageError(
            f"--workers is a number from 0 (all in one process) to {MAX_WORKERS}, not {workers}."
        )
