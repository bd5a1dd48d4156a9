"""Options from the environment: RUNNER_<NAME> stands for --name."""

import argparse
import os
from argparse import ArgumentParser
from typing import Any

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


class CommandParser(ArgumentParser):
    """The parser of one command; only when that command is given does its environment count."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        _take_defaults_from_environment(self)
        return super().parse_known_args(args, namespace)


def _take_defaults_from_environment(parser: ArgumentParser) -> None:
    for action in parser._actions:
        name = "RUNNER_" + (action.option_strings or [""])[-1].lstrip("-").replace("-", "_").upper()
        if not action.option_strings or not os.environ.get(name) or action.help == argparse.SUPPRESS:
            continue  # (a hidden option is one that a job has frozen: the default of a new job is no matter)
        try:
            parser.set_defaults(**{action.dest: _from_environment(action, os.environ[name])})
        except (ValueError, argparse.ArgumentTypeError) as error:
            parser.error(f"{name} in the environment: {error}")


def _from_environment(action: argparse.Action, text: str) -> Any:
    if action.nargs == 0:
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(f"{text!r} is neither yes nor no")
        return text.lower() in _TRUE
    value = action.type(text) if callable(action.type) else text
    if action.choices is not None and value not in action.choices:
        raise ValueError(f"{text!r} is not one of {', '.join(map(str, action.choices))}")
    return [value] if isinstance(action, argparse._AppendAction) else value
