"""Options of scripts."""

import argparse


def add_numbers(parser: argparse.ArgumentParser, **numbers: tuple[float, str]) -> None:
    """Options that take a number of the type of their default, each given as (default, what it is)."""
    for name, (default, about) in numbers.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=type(default),
            default=default,
            help=f"{about} (default: %(default)s)".lstrip(),
        )
