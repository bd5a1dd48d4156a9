"""Which column of a list is the URL, and which others are carried along under which names."""

from collections.abc import Sequence

from ..columns import SUFFIX
from ..errors import ListError
from .options import ALL, NONE, ListOptions
from .places import printable

USUAL_NAMES = ("url", "URL", "image_url")

_MOST_SHOWN = 20  # columns in a message
_LONGEST_SHOWN = 60  # characters of each


def url_column(names: Sequence[str], options: ListOptions, where: str) -> str:
    """The column with the URLs. Raises ListError, naming the columns, if there is none or no telling."""
    if options.url_col is not None:
        if options.url_col in names:
            return options.url_col
        raise ListError(f"{where} has no column {printable(options.url_col)}; {_shown(names)}")
    for name in USUAL_NAMES:
        if name in names:
            return name
    if len(names) == 1:
        return names[0]
    raise ListError(
        f"{where} has no column {', '.join(USUAL_NAMES[:-1])} or {USUAL_NAMES[-1]}; {_shown(names)}: "
        "say which has the URLs with --url-col"
    )


def carried_columns(names: Sequence[str], url: str, options: ListOptions, where: str) -> dict[str, str]:
    """The other columns that are wanted, each with its name in the job. ListError if one is missing."""
    if options.columns == ALL:
        wanted = [name for name in names if name != url]
    else:
        wanted = [] if options.columns == NONE else [name for name in options.columns if name != url]
        if options.digest and options.digest.column not in wanted:
            wanted.append(options.digest.column)
    needed = [*wanted, options.digest.column] if options.digest else wanted
    for name in needed:
        if name not in names:
            raise ListError(f"{where} has no column {printable(name)}; {_shown(names)}")
    return {name: name_in_job(name) for name in wanted}


def name_in_job(column: str) -> str:
    """The name under which a column is carried; ``url`` is always that of the item."""
    return f"url{SUFFIX}" if column == "url" else column


def distinct(names: Sequence[str]) -> list[str]:
    """The names of columns by position: the nameless numbered, of equal ones the later numbered too."""
    found: dict[str, None] = {}
    for number, name in enumerate(names, start=1):
        unique = name or f"column_{number}"
        while unique in found:
            unique = f"{unique}_{number}"
        found[unique] = None
    return list(found)


def _shown(names: Sequence[str]) -> str:
    shown = [printable(name[:_LONGEST_SHOWN]) for name in names[:_MOST_SHOWN]]
    more = [f"{len(names) - _MOST_SHOWN} more"] if len(names) > _MOST_SHOWN else []
    return f"its columns are {', '.join(shown + more)}" if names else "it has no columns at all"
