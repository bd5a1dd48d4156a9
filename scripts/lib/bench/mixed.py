"""5,000 good URLs with hanging and failing hosts mixed in, against the good ones alone."""

import argparse
import random
import socket
from pathlib import Path

from tools import nginx

from . import photos
from .single import in_turn, middle, report, worker


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--urls", type=int, default=5000, help="good ones (default: %(default)s)")
    parser.add_argument("--hanging", type=float, default=0.01, help="share of hosts (default: %(default)s)")
    parser.add_argument("--failing", type=float, default=0.05, help="share of hosts (default: %(default)s)")
    parser.add_argument("--timeout", type=float, default=10.0, help="the deadline (default: %(default)s)")
    parser.add_argument("--retries", type=int, default=0, help="of what may pass (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default: %(default)s)")


def run(options: argparse.Namespace, folder: Path) -> None:
    pictures = photos.ensure_photos(folder)
    good, mixed = folder / "good.txt", folder / "mixed.txt"
    # A listener that accepts nothing: the kernel makes the connection, and nobody ever answers.
    with nginx.serve(pictures) as place, socket.create_server(("0.0.0.0", 0), backlog=4096) as silent:
        lines = photos.write_list(good, place, options.urls).read_text().split()
        lines += _hosts("127.2", silent.getsockname()[1], round(options.urls * options.hanging))
        lines += _hosts("127.3", _closed_port(), round(options.urls * options.failing))
        random.Random(7).shuffle(lines)
        mixed.write_text("\n".join(lines))
        settings = {"timeout": options.timeout, "retries": options.retries}
        results = in_turn(
            {"good alone": lambda: worker(good, **settings), "mixed": lambda: worker(mixed, **settings)},
            options.runs,
        )
    pairs = list(zip(results["good alone"], results["mixed"], strict=True))
    speeds = [alone["seconds"] / both["seconds_of_good"] for alone, both in pairs]
    ends = [both["seconds"] - alone["seconds"] / 0.9 for alone, both in pairs]
    rows = [
        f"{options.urls:,} good URLs; in the last round {results['mixed'][-1]['outcomes']}",
        f"speed of the good ones, mixed to alone: {middle(speeds)}",
        f"seconds beyond the good alone at 0.9 of it: {middle(ends)} (deadline {options.timeout:g})",
    ]
    report(folder / "mixed.json", results, rows)


def _hosts(net: str, port: int, count: int) -> list[str]:
    """URLs on so many hosts."""
    return [f"http://{net}.{number // 250}.{number % 250 + 1}:{port}/x.jpg" for number in range(count)]


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
