"""HTTPS with certificates verified: a new connection for each image, and connections that stay open."""

import argparse
import json
from pathlib import Path

from tools.options import add_numbers

from . import site
from .measure import compare, program
from .results import Findings, Table


def add_options(parser: argparse.ArgumentParser) -> None:
    add_numbers(parser, urls=(3000, "images in each run"), rounds=(3, ""))


def run(options: argparse.Namespace, folder: Path) -> Findings:
    bundle = _bundle(folder)
    manners = {
        "a new connection for each": site.Manner(tls=True, keep_alive=False),
        "connections reused": site.Manner(tls=True),
    }
    return Findings([_table(title, manner, folder, bundle, options) for title, manner in manners.items()])


def _table(title: str, manner: site.Manner, folder: Path, bundle: str, options: argparse.Namespace) -> Table:
    print(title)
    urls = folder / "tls.txt"
    trust = {"connections": 64, "ca_bundle": bundle}
    with site.serve(manner) as place:
        urls.write_text("".join(f"{place}/{number}\n" for number in range(options.urls)))
        contenders = [
            program("bare libcurl loop", "reference_loop.py", options.urls, urls, json.dumps(trust))
        ]
        for transport in ("curl", "requests"):
            settings = {**trust, "timeout": 60.0, "transport": transport}
            contenders.append(
                program(f"runner, {transport}", "one_worker.py", options.urls, urls, json.dumps(settings))
            )
        runs = compare(contenders, options.rounds)
    return Table(title, "image", runs, len(site.BODY))


def _bundle(folder: Path) -> str:
    """All the authorities that are usually trusted, and the one of the server."""
    import certifi

    bundle = folder / "bundle.pem"
    bundle.write_text(Path(certifi.where()).read_text() + site.CERTIFICATE.read_text())
    return str(bundle)
