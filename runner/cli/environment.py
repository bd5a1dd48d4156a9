"""Options from the environment: RUNNER_<NAME> stands for --name."""

import argparse
import os
from argparse import ArgumentParser
from typing import Any

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


# Not for every command line that has the option: these count only beside another option of that value.
_ONLY_WITH = {"caption_col": ("format", "webdataset")}


class CommandParser(ArgumentParser):
    """The parser of one command; only when that command is given does its environment count."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found = _from_environment(self)
        self.set_defaults(**{name: found[name] for name in found.keys() - _ONLY_WITH.keys()})
        options, rest = super().parse_known_args(args, namespace)
        for name, (other, value) in _ONLY_WITH.items():
            if name in found and getattr(options, name) is None and getattr(options, other) == value:
                setattr(options, name, found[name])
        return options, rest


def _from_environment(parser: ArgumentParser) -> dict[str, Any]:
    """Options of this command that the environment gives."""
    found = {}
    for action in parser._actions:
        name = "RUNNER_" + (action.option_strings or [""])[-1].lstrip("-").replace("-", "_").upper()
        if not action.option_strings or not os.environ.get(name) or action.help == argparse.SUPPRESS:
            continue  # (a hidden option is one that a job has frozen: the default of a new job is no matter)
        try:
            found[action.dest] = _value(action, os.environ[name])
        except (ValueError, argparse.ArgumentTypeError) as error:
            parser.error(f"{name} in the environment: {error}")
    return found


def _value(action: argparse.Action, text: str) -> Any:
    if action.nargs == 0:
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(f"{text!r} is neither yes nor no")
        return text.lower() in _TRUE
    value = action.type(text) if callable(action.type) else text
    if action.choices is not None and value not in action.choices:
        raise ValueError(f"{text!r} is not one of {', '.join(map(str, action.choices))}")
    return [value] if isinstance(action, argparse._AppendAction) else value
