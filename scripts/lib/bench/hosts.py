"""The same photographs from 1 host and from 5,000, without dead hosts and with 1 % of them.

Hosts are addresses of loopback (127.1.0.1 and so on), so looking up names is not part of it.
"""

import argparse
import random
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tools import nginx
from tools.options import add_numbers

from . import downloaders
from .downloaders import Assignment
from .measure import Contender, compare
from .peers import those_there
from .photos import Photos
from .results import Findings, Table

Case = tuple[str, list[Callable[[], Contender]]]
NO_RETRIES = ("--retries", "0")  # the others have none


def add_options(parser: argparse.ArgumentParser) -> None:
    add_numbers(
        parser,
        urls=(5000, "that have an image"),
        hosts=(5000, "at most"),
        dead=(0.01, "share of hosts"),
        rounds=(3, ""),
    )


def run(options: argparse.Namespace, folder: Path) -> Findings:
    photos = Photos.ensure(folder, options.urls)
    tables = []
    with nginx.serve(photos.folder, listen="0.0.0.0") as site, dead_urls(options) as dead:
        urls = [*photos.urls(site, options.urls)]
        for title, makers in _cases(urls, dead, options.hosts, folder / "downloaded"):
            print(title)
            runs = compare(those_there(makers), options.rounds)
            tables.append(Table(title, "URL", runs, photos.size(options.urls)))
    return Findings(tables)


def _cases(one: Sequence[str], dead: Sequence[str], hosts: int, folder: Path) -> Iterator[Case]:
    """Titles, and who takes part: the same good URLs each time, on one host first."""
    many = [on_host(url, k % hosts) for k, url in enumerate(one)]
    with_dead = [*many, *dead]
    random.Random(7).shuffle(with_dead)
    for title, urls in {"1 host": one, f"{hosts:,} hosts": many}.items():
        task = Assignment(urls, folder, len(one))
        yield title, [partial(downloaders.bare_loop, task), partial(runner, "runner", task)]
    alive, mixed = Assignment(many, folder, len(one)), Assignment(with_dead, folder, len(one))
    yield (
        f"{hosts:,} hosts, {len(dead):,} more dead",
        [
            partial(runner, "runner, none dead", alive),
            partial(runner, "runner", mixed),
            partial(downloaders.curl, mixed),
            partial(downloaders.img2dataset, mixed),
        ],
    )


def runner(name: str, task: Assignment) -> Contender:
    return replace(downloaders.runner(task, "curl", *NO_RETRIES), name=name)


def on_host(url: str, number: int) -> str:
    """The same page, asked of another address of loopback."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{address('127.1', number)}:{parts.port}").geturl()


def address(net: str, number: int) -> str:
    return f"{net}.{number // 250}.{number % 250 + 1}"


@contextmanager
def dead_urls(options: argparse.Namespace) -> Iterator[list[str]]:
    """One URL on each dead host: half of them refuse the connection, half take it and never answer."""
    count = round(options.hosts * options.dead)
    with silent_port() as silent:
        ports = (silent, closed_port())
        yield [f"http://{address('127.2', k)}:{ports[k % 2]}/x.jpg" for k in range(count)]


@contextmanager
def silent_port() -> Iterator[int]:
    """A listener that accepts nothing: the kernel makes the connection, and nobody ever answers."""
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as silent:
        yield silent.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
