"""A script's voice: paragraphs for people, and the commands it runs, on standard output."""

import textwrap


def say(text: str) -> None:
    print("\n" + textwrap.fill(text, 100, break_on_hyphens=False, break_long_words=False), flush=True)


def show_command(line: str) -> None:
    print(f"\n    $ {line}", flush=True)


def show_output(text: str) -> None:
    print(textwrap.indent(text.rstrip(), "    "), flush=True)
