"""The table of outcomes in docs/fetching.md against the code."""

import re
from pathlib import Path
from random import Random

import pytest

from runner.fetch.options import FetchOptions
from runner.fetch.policy import DOUBTFUL, TRANSIENT, Fetch, Policy, Retry
from runner.fetch.reasons import REASONS, reason
from runner.fetch.transport import Exchange, Request

DOCUMENT = Path(__file__).parents[1] / "docs" / "fetching.md"
ROW = re.compile(r"\| `(\w+|http_<code>|http_5<xx>)` \| .+ \| (yes|once|no) \| (yes|no) \|")

ROWS = [match for match in map(ROW.fullmatch, DOCUMENT.read_text().splitlines()) if match]
ASKED_AGAIN = {row[1]: row[2] for row in ROWS}
LATER = {row[1]: row[3] == "yes" for row in ROWS}
RETRIES = 5


def test_every_reason_is_in_the_table() -> None:
    assert set(ASKED_AGAIN) == TRANSIENT | DOUBTFUL | REASONS.keys()


def test_what_a_retry_asks_again() -> None:
    assert {name: reason(name).passes for name in LATER} == LATER


@pytest.mark.parametrize("reason", sorted(ASKED_AGAIN.keys() - {"invalid_url", "scheme", "crashed"}))
def test_what_is_asked_again(reason: str) -> None:
    policy = Policy(FetchOptions(retries=RETRIES), Random(7))
    fetch = policy.open("http://a.example/x.jpg")
    assert isinstance(fetch, Fetch)
    again = -1
    decision: object = Retry(0.0)
    while isinstance(decision, Retry):
        again += 1
        policy.request(fetch, 0.0)
        decision = policy.judge(fetch, failed(reason), 0.0, 0.0)
    assert again == {"yes": RETRIES, "once": 1, "no": 0}[ASKED_AGAIN[reason]]


def failed(reason: str) -> Exchange:
    """An exchange that fails for this reason."""
    request = Request("http://a.example/x.jpg", 0.0)
    match reason:
        case "empty":
            return Exchange(request, 200, [], b"", None)
        case "not_image":
            return Exchange(request, 200, [], b"<html>", None)
        case "robots_tag":
            return Exchange(request, 200, [("x-robots-tag", "noai")], b"", None)
        case "redirects":
            return Exchange(request, 302, [("location", "http://[::1")], b"", None)
        case "http_<code>":
            return Exchange(request, 404, [], b"", None)
        case "http_5<xx>":
            return Exchange(request, 501, [], b"", None)
    if reason.startswith("http_"):
        return Exchange(request, int(reason.removeprefix("http_")), [], b"", None)
    return Exchange(request, None, [], b"", reason)
