"""One worker with 1,000 connections to a server 200 ms away, against a bare libcurl loop."""

import argparse
from pathlib import Path

from . import site
from .single import in_turn, middle, reference, report, worker

DELAY = 0.2


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--urls", type=int, default=20_000, help="images in each run (default: %(default)s)")
    parser.add_argument("--connections", type=int, default=1000, help="(default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="rounds (default: %(default)s)")


def run(options: argparse.Namespace, folder: Path) -> None:
    urls = folder / "latency.txt"
    connections = options.connections
    with site.serve(site.Manner(delay=DELAY)) as place:
        urls.write_text("".join(f"{place}/{number}\n" for number in range(options.urls)))
        results = in_turn(
            {
                "bare loop": lambda: reference(urls, connections=connections),
                "runner": lambda: worker(urls, connections=connections, timeout=30.0),
            },
            options.runs,
        )
    ideal = connections / DELAY
    rows = [
        f"{options.urls:,} images, {connections:,} connections, {DELAY * 1000:.0f} ms: {ideal:,.0f}/s at most"
    ]
    for name, runs in results.items():
        rates = [options.urls / taken["seconds"] for taken in runs]
        cpu = [taken["cpu_seconds"] / options.urls * 1e6 for taken in runs]
        rows.append(f"{name:12} {middle(rates, ',.0f')} images/s, CPU us/image {middle(cpu, '.0f')}")
    pairs = list(zip(results["runner"], results["bare loop"], strict=True))
    ratios = [
        options.urls / mine["seconds"] / min(ideal, options.urls / bare["seconds"]) for mine, bare in pairs
    ]
    rows.append(f"share of the smaller of the two: {middle(ratios)}")
    report(folder / "latency.json", results, rows)
