"""A name that points to a public host at first and to this machine later, where nothing can leave it."""

import json
import socket
import time
from typing import Any

import island
import pytest
from webserver import JPEG, WebServer, raw

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
