"""Distinct HTTPS connections, certificates verified: CPU for each, against a bare libcurl loop."""

import argparse
from pathlib import Path

from . import site
from .single import in_turn, middle, reference, report, worker


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--urls", type=int, default=3000, help="connections in each run (default: %(default)s)"
    )
    parser.add_argument("--runs", type=int, default=3, help="rounds (default: %(default)s)")


def run(options: argparse.Namespace, folder: Path) -> None:
    urls = folder / "tls.txt"
    trust = {"connections": 64, "ca_bundle": _bundle(folder)}
    with site.serve(site.Manner(tls=True)) as place:
        urls.write_text("".join(f"{place}/{number}\n" for number in range(options.urls)))
        results = in_turn(
            {
                "bare loop": lambda: reference(urls, **trust),
                "runner, curl": lambda: worker(urls, **trust, timeout=60.0),
                "runner, requests": lambda: worker(urls, **trust, timeout=60.0, transport="requests"),
            },
            options.runs,
        )
    rows = [f"{options.urls:,} connections, each with a handshake and one image"]
    for name, runs in results.items():
        cpu = [taken["cpu_seconds"] / options.urls * 1e3 for taken in runs]
        ratios = [
            mine["cpu_seconds"] / bare["cpu_seconds"]
            for mine, bare in zip(runs, results["bare loop"], strict=True)
        ]
        rows.append(f"{name:18} CPU ms/connection {middle(cpu)}, ratio {middle(ratios)}")
    report(folder / "tls.json", results, rows)


def _bundle(folder: Path) -> str:
    """All the authorities that are usually trusted, and the one of the server."""
    import certifi

    bundle = folder / "bundle.pem"
    bundle.write_text(Path(certifi.where()).read_text() + site.CERTIFICATE.read_text())
    return str(bundle)
