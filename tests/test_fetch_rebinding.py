"""Public hosts that lead to private ones, by name or by redirect, where nothing can leave this machine."""

import json
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import island
import pytest
from test_download import Feed
from webserver import JPEG, Visit, WebServer, raw

from runner.download import DownloadStage
from runner.fetch import FetchOptions, open_transport, resolver
from runner.fetch.options import TRANSPORTS
from runner.fetch.transport import Request

PUBLIC = "93.184.216.34"
HERE = "127.0.0.1"

# What the name points to each time that it is looked up.
ANSWERS = [[PUBLIC], [HERE], [HERE, PUBLIC], [HERE, "::1"]]


def visit_again_and_again(kind: str) -> list[tuple[str | None, int]]:
    """Ask for a URL after each change of its name: the errors, and the connections that were made so far."""
    answers = iter(ANSWERS)

    def getaddrinfo(*_: object, **__: object) -> list[Any]:
        return [(0, 0, 0, "", (address, 0)) for address in next(answers)]

    socket.getaddrinfo = getaddrinfo  # type: ignore[assignment]
    resolver.REMEMBERED = 0.0
    transport = open_transport(FetchOptions(transport=kind))
    visits = []
    with WebServer({"*": raw(b"HTTP/1.1 200 OK\r\n\r\n" + JPEG)}, host="0.0.0.0") as server:
        for _ in ANSWERS:
            transport.start(Request(f"http://rebound.example:{server.port}/", time.monotonic() + 30))
            while transport.in_flight:
                for exchange in transport.wait(1.0):
                    visits.append((exchange.error, server.connections))
        transport.close()
    return visits


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_a_name_that_changes_to_a_private_address(kind: str) -> None:
    code = f"import json, {__name__} as test\nprint(json.dumps(test.visit_again_and_again({kind!r})))"
    visits = json.loads(island.run(code, PUBLIC))
    assert visits == [[None, 1], ["blocked_address", 1], [None, 2], ["blocked_address", 2]]


# All of them are this machine's own in the test, and a server listens at every one.
PRIVATE = ("10.0.0.1", "100.64.0.1", "169.254.169.254", "172.16.0.1", "192.168.1.1", "198.18.0.1")
SPELLINGS = (
    "127.0.0.1",
    "localhost",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0",
    "[::ffff:7f00:1]",
)


def lead_to_private_hosts(kind: str) -> tuple[list[str], list[str]]:
    """The outcomes of redirects from a public host, by address and by name, and whose requests arrived."""
    names = {f"name{number}.example": address for number, address in enumerate(PRIVATE)}
    names |= {"public.example": PUBLIC, PUBLIC: PUBLIC}

    def getaddrinfo(name: str, *_: object, **__: object) -> list[Any]:
        return [(0, 0, 0, "", (names.get(name, HERE), 0))]

    def lead(visit: Visit) -> None:
        _, leads, target = unquote(visit.path).partition("/to/")
        if leads:
            visit.answer(b"", "302 Found", [f"Location: http://{target}:{visit.server.port}/image"])
        else:
            visit.answer(JPEG)

    socket.getaddrinfo = getaddrinfo  # type: ignore[assignment]
    targets = [*PRIVATE, *SPELLINGS, *(name for name in names if name != PUBLIC)]
    stage = DownloadStage(Path(), Path(), Path(), FetchOptions(transport=kind, retries=0))
    with WebServer({"*": lead}, host="0.0.0.0") as server:
        urls = [f"http://{PUBLIC}:{server.port}/to/{target}" for target in targets]
        urls += [f"http://{target}:{server.port}/image" for target in targets]
        results = [result for result in stage.process(Feed(*urls)) if result is not None]
        paths = sorted(visited.split(b" ", 2)[1].decode() for visited in server.heads)
    outcomes = [result.mark.outcome for result in sorted(results, key=lambda result: result.key)]
    return outcomes, [path for path in paths if "/to/" not in path]


@pytest.mark.parametrize("kind", TRANSPORTS)
def test_no_private_host_is_talked_to_on_any_hop(kind: str) -> None:
    code = f"import json, {__name__} as test\nprint(json.dumps(test.lead_to_private_hosts({kind!r})))"
    outcomes, arrived = json.loads(island.run(code, PUBLIC, *PRIVATE))
    refused = len(PRIVATE) + len(SPELLINGS) + len(PRIVATE)
    assert outcomes == (["blocked_address"] * refused + ["done"]) * 2
    assert arrived == ["/image"] * 2
