"""Scripts that make shells complete what belongs to the command line."""

from argparse import Action, ArgumentParser, Namespace, _SubParsersAction
from collections.abc import Iterator

from .commands import Console

SHELLS = ("bash", "zsh", "fish")
_FOLDERS = ("job", "out")
_FILES = ("lists", "ca_bundle")


def completion(options: Namespace, console: Console) -> int:  # noqa: ARG001
    import shtab  # not for every command

    from .parser import build_parser

    parser = build_parser()
    for action in _actions(parser):
        if action.dest in _FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif action.dest in _FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    print(shtab.complete(parser, options.shell))
    return 0


def _actions(parser: ArgumentParser) -> Iterator[Action]:
    """Every option and argument of every command."""
    for action in parser._actions:
        if isinstance(action, _SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action
