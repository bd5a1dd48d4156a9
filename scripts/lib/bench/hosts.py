"""The same photographs from 1 host and from 5,000, without dead hosts and with 1 % of them.

Hosts are addresses of loopback (127.1.0.1 and so on), so looking up names is not part of it.
"""

import argparse
import random
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tools import nginx

from . import downloaders
from .downloaders import Assignment
from .measure import Contender, compare
from .peers import those_there
from .photos import Photos
from .results import Findings, Table

NO_RETRIES = ("--retries", "0")  # the others have none


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--urls", type=int, default=5000, help="that have an image (default: %(default)s)")
    parser.add_argument("--hosts", type=int, default=5000, help="at most (default: %(default)s)")
    parser.add_argument("--dead", type=float, default=0.01, help="share of hosts (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: %(default)s)")


def run(options: argparse.Namespace, folder: Path) -> Findings:
    photos = Photos.ensure(folder, options.urls)
    with nginx.serve(photos.folder, listen="0.0.0.0") as site, dead_urls(options) as dead:
        one = list(photos.urls(site, options.urls))
        many = [on_host(url, k % options.hosts) for k, url in enumerate(one)]
        with_dead = [*many, *dead]
        random.Random(7).shuffle(with_dead)

        def assign(urls: Sequence[str]) -> Assignment:
            return Assignment(urls, folder / "downloaded", options.urls)

        size = photos.size(options.urls)
        tables = []
        for title, urls in {"1 host": one, f"{options.hosts:,} hosts": many}.items():
            print(title)
            makers = [partial(maker, assign(urls)) for maker in (downloaders.bare_loop, downloaders.runner)]
            tables.append(Table(title, "image", compare(those_there(makers), options.rounds), size))
        title = f"{options.hosts:,} hosts, {len(dead):,} more dead"
        print(title)
        makers = [
            partial(runner, "runner, none dead", assign(many)),
            partial(runner, "runner", assign(with_dead)),
        ]
        makers += [partial(peer, assign(with_dead)) for peer in (downloaders.curl, downloaders.img2dataset)]
        tables.append(Table(title, "URL", compare(those_there(makers), options.rounds), size))
    return Findings(tables)


def runner(name: str, task: Assignment) -> Contender:
    return Contender(name, downloaders.runner(task, "curl", *NO_RETRIES).run)


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
    # A listener that accepts nothing: the kernel makes the connection, and nobody ever answers.
    with socket.create_server(("0.0.0.0", 0), backlog=4096) as silent:
        ports = (silent.getsockname()[1], closed_port())
        yield [f"http://{address('127.2', k)}:{ports[k % 2]}/x.jpg" for k in range(count)]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
