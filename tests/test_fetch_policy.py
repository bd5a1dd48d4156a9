from email.utils import formatdate
from random import Random
from typing import Any

import pytest
from webserver import JPEG

from runner.fetch.hosts import News, Signal
from runner.fetch.options import FetchOptions
from runner.fetch.policy import (
    BACKOFF,
    MAX_REDIRECTS,
    Decision,
    Fail,
    Fetch,
    Follow,
    Policy,
    Retry,
    Store,
)
from runner.fetch.transport import Exchange, Request

URL = "http://a.example/x.jpg"
WALL = 1_800_000_000.0

Headers = dict[str, str]


def policy(**options: Any) -> Policy:
    return Policy(FetchOptions(**options), Random(7))


def opened(rules: Policy, url: str = URL) -> Fetch:
    fetch = rules.open(url, "tag")
    assert isinstance(fetch, Fetch)
    return fetch


def exchange(
    status: int | None = 200, body: bytes = JPEG, error: str | None = None, headers: Headers | None = None
) -> Exchange:
    return Exchange(Request(URL, 0.0), status, list((headers or {}).items()), body, error)


def once(answer: Exchange, **options: Any) -> Decision:
    """What is decided when the first answer to a URL is this one."""
    rules = policy(**options)
    fetch = opened(rules)
    rules.request(fetch, 0.0)
    return rules.judge(fetch, answer, 1.0, WALL)


def times_asked(answer: Exchange, **options: Any) -> tuple[int, Decision]:
    """How often a URL is asked for that always gives this answer, and how that ends."""
    rules = policy(**options)
    fetch = opened(rules)
    while True:
        rules.request(fetch, 0.0)
        decision = rules.judge(fetch, answer, 1.0, WALL)
        if not isinstance(decision, Retry):
            return fetch.attempts, decision


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("cat.jpg", "invalid_url"),
        ("http://a.example/\r\nX: 1", "invalid_url"),
        ("ftp://a.example/x", "scheme"),
        ("http://127.0.0.1/x", "blocked_address"),
        ("http://2130706433/", "blocked_address"),
        ("http://0x7f.1/", "blocked_address"),
        ("http://[::ffff:10.0.0.1]/", "blocked_address"),
        ("http://169.254.169.254/latest/meta-data/", "blocked_address"),
    ],
)
def test_what_is_never_asked_for(url: str, reason: str) -> None:
    assert policy().open(url) == Fail(reason)


def test_private_addresses_when_they_are_wanted() -> None:
    assert isinstance(policy(allow_private=True).open("http://127.0.0.1/x"), Fetch)


def test_a_request_carries_tag_deadline_and_credentials() -> None:
    rules = policy(timeout=10)
    fetch = opened(rules, "http://u:p@a.example/x")
    request = rules.request(fetch, 100.0)
    assert request == Request("http://a.example/x", 110.0, fetch, "Basic dTpw")
    assert fetch.tag == "tag"


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        (exchange(), Store(JPEG)),
        (exchange(203), Store(JPEG)),
        (exchange(headers={"content-type": "text/html"}), Store(JPEG)),
        (exchange(body=b""), Fail("empty")),
        (exchange(body=b"<html>", headers={"content-type": "image/jpeg"}), Fail("not_image")),
        (exchange(body=b"<svg/>", headers={"content-type": "image/svg+xml"}), Fail("not_image")),
        (exchange(headers={"x-robots-tag": "noai"}), Fail("robots_tag")),
        (exchange(error="truncated", headers={"x-robots-tag": "noai"}), Fail("robots_tag")),
        (exchange(headers={"x-robots-tag": "runner: noindex"}), Fail("robots_tag")),
        (exchange(headers={"x-robots-tag": "otherbot: noai"}), Store(JPEG)),
        (exchange(206), Fail("http_206")),
        (exchange(302), Fail("http_302")),  # without a Location
        (exchange(304, headers={"location": "/y"}), Fail("http_304")),
        (exchange(302, headers={"location": "/y"}), Follow()),
        (exchange(302, error="timeout", headers={"location": "/y"}), Follow()),
        (exchange(302, headers={"location": "http://[::1"}), Fail("redirects")),
        (exchange(302, headers={"location": "http://a..b/"}), Fail("redirects")),
        (exchange(302, headers={"location": ""}), Fail("redirects")),
        (exchange(302, headers={"location": URL}), Fail("redirects")),
        (exchange(302, headers={"location": "#top"}), Fail("redirects")),
        (exchange(302, headers={"location": "file:///etc/passwd"}), Fail("scheme")),
        (exchange(302, headers={"location": "http://127.0.0.1/"}), Fail("blocked_address")),
        (exchange(302, headers={"location": "http://[fd00::1]/"}), Fail("blocked_address")),
    ],
)
def test_the_first_answer_decides(answer: Exchange, decision: Decision) -> None:
    assert once(answer) == decision


def test_the_robots_tag_can_be_ignored() -> None:
    assert once(exchange(headers={"x-robots-tag": "noai"}), ignore_robots_tag=True) == Store(JPEG)


@pytest.mark.parametrize("code", [101, 204, 206, 301, 400, 401, 403, 404, 410, 416, 451, 501, 505, 999])
def test_permanent_statuses_are_asked_once(code: int) -> None:
    assert times_asked(exchange(code)) == (1, Fail(f"http_{code}"))


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_transient_statuses_are_asked_again(code: int) -> None:
    assert times_asked(exchange(code)) == (3, Fail(f"http_{code}"))
    assert times_asked(exchange(code), retries=0) == (1, Fail(f"http_{code}"))


@pytest.mark.parametrize(
    ("error", "times"),
    [
        ("timeout", 3),
        ("connect", 3),
        ("truncated", 3),
        ("dns", 2),
        ("protocol", 2),
        ("tls", 1),
        ("too_large", 1),
        ("encoding", 1),
        ("blocked_address", 1),
    ],
)
def test_errors_are_asked_again_if_they_may_pass(error: str, times: int) -> None:
    assert times_asked(exchange(None, b"", error)) == (times, Fail(error))
    assert times_asked(exchange(200, b"", error)) == (times, Fail(error))


def test_a_second_attempt_may_succeed() -> None:
    rules = policy()
    fetch = opened(rules)
    for status in (500, 500):
        rules.request(fetch, 0.0)
        assert isinstance(rules.judge(fetch, exchange(status), 1.0, WALL), Retry)
    rules.request(fetch, 0.0)
    assert rules.judge(fetch, exchange(headers={"content-type": "image/jpeg"}), 1.0, WALL) == Store(JPEG)
    assert (fetch.attempts, fetch.status, fetch.content_type, fetch.final_url) == (3, 200, "image/jpeg", None)


def test_backoff_doubles_within_its_jitter() -> None:
    for seed in range(50):
        rules = Policy(FetchOptions(retries=8, max_wait=60), Random(seed))
        fetch = opened(rules)
        for attempt in range(8):
            rules.request(fetch, 0.0)
            decision = rules.judge(fetch, exchange(500), 0.0, WALL)
            assert isinstance(decision, Retry)
            assert 0.5 <= decision.after / (BACKOFF * 2**attempt) <= 1.5 or decision.after == 60


@pytest.mark.parametrize(
    ("value", "after"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("9999", 60.0),
        ("9" * 400, 60.0),
        (formatdate(WALL + 20, usegmt=True), 20.0),
        (formatdate(WALL - 20, usegmt=True), 0.0),
        (formatdate(WALL + 9999, usegmt=True), 60.0),
    ],
)
@pytest.mark.parametrize("code", [429, 503])
def test_retry_after(code: int, value: str, after: float) -> None:
    answer = exchange(code, headers={"retry-after": value})
    assert once(answer, max_wait=60) == Retry(after)
    assert policy(max_wait=60).news(answer, WALL) == News(Signal.BUSY, f"http_{code}", after)


@pytest.mark.parametrize("value", ["soon", "-5", "", "Mon, 99 Foo 2026", "1e400", "1,2"])
def test_a_retry_after_that_makes_no_sense_is_not_there(value: str) -> None:
    answer = exchange(429, headers={"retry-after": value})
    decision = once(answer)
    assert isinstance(decision, Retry)
    assert 0 < decision.after < 1
    assert policy().news(answer, WALL).pause == 0.0


def test_retry_after_counts_only_from_a_busy_host() -> None:
    assert policy().news(exchange(500, headers={"retry-after": "7"}), WALL) == News(Signal.GOOD)


def test_redirects_share_the_time_of_their_attempt() -> None:
    rules = policy(timeout=10)
    fetch = opened(rules)
    rules.request(fetch, 100.0)
    assert rules.judge(fetch, exchange(302, headers={"location": "/y"}), 104.0, WALL) == Follow()
    request = rules.request(fetch, 105.0)  # it had to wait for its turn, which costs nothing
    assert (request.url, request.deadline) == ("http://a.example/y", 111.0)
    assert fetch.attempts == 1


def test_a_redirect_at_the_deadline_is_a_time_out_and_a_retry_starts_over() -> None:
    rules = policy(timeout=10)
    fetch = opened(rules)
    rules.request(fetch, 100.0)
    assert isinstance(rules.judge(fetch, exchange(302, headers={"location": "/y"}), 110.0, WALL), Retry)
    request = rules.request(fetch, 200.0)
    assert (request.url, request.deadline, fetch.attempts) == (URL, 210.0, 2)


def follow(rules: Policy, fetch: Fetch, *locations: str) -> Decision:
    decision: Decision = Follow()
    for location in locations:
        rules.request(fetch, 0.0)
        decision = rules.judge(fetch, exchange(301, headers={"location": location}), 0.0, WALL)
    return decision


def test_a_chain_of_redirects_has_an_end() -> None:
    rules = policy()
    assert follow(rules, opened(rules), *map(str, range(MAX_REDIRECTS))) == Follow()
    assert follow(rules, opened(rules), *map(str, range(MAX_REDIRECTS + 1))) == Fail("redirects")


def test_a_loop_is_seen_at_once() -> None:
    rules = policy()
    assert follow(rules, opened(rules), "/1", "/2", "/1") == Fail("redirects")


def test_where_redirects_led_is_known() -> None:
    rules = policy()
    fetch = opened(rules, "http://u:p@a.example/x")
    follow(rules, fetch, "https://b.example/y")
    assert fetch.final_url == "https://b.example/y"
    assert rules.request(fetch, 0.0).authorization is None


def test_a_long_content_type_is_cut() -> None:
    rules = policy()
    fetch = opened(rules)
    rules.request(fetch, 0.0)
    rules.judge(fetch, exchange(headers={"content-type": "x" * 5000}), 0.0, WALL)
    assert fetch.content_type == "x" * 200


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (exchange(200), Signal.GOOD),
        (exchange(404), Signal.GOOD),
        (exchange(200, b"", "truncated"), Signal.GOOD),
        (exchange(429), Signal.BUSY),
        (exchange(503), Signal.BUSY),
        (exchange(None, b"", "timeout"), Signal.SLOW),
        (exchange(200, b"", "timeout"), Signal.SLOW),
        (exchange(None, b"", "connect"), Signal.SILENT),
        (exchange(None, b"", "dns"), Signal.SILENT),
        (exchange(None, b"", "truncated"), Signal.SILENT),
        (exchange(None, b"", "protocol"), Signal.NONE),
        (exchange(None, b"", "blocked_address"), Signal.NONE),
    ],
)
def test_what_an_exchange_says_about_its_host(answer: Exchange, expected: Signal) -> None:
    assert policy().news(answer, WALL).signal is expected
