import gzip
import hashlib
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import webserver as web
from webserver import JPEG, Crowd, WebServer, answer, in_turn, redirect

from runner import download, shelf
from runner.download import DownloadStage, FetchDetail, Wanted
from runner.engine.items import DONE, Item, Items, Key, Result
from runner.fetch import FetchOptions, hosts
from runner.fetch.options import TRANSPORTS
from runner.fetch.policy import Digest
from runner.manifest import Row, write_manifests
from runner.sources.options import ALGORITHMS, DigestColumn

pytestmark = pytest.mark.parametrize("transport", TRANSPORTS)


def stage(transport: str, shared: Path = Path("hosts"), **options: Any) -> DownloadStage:
    settings = {"allow_private": True, "timeout": 0.5, "retries": 0, "connections": 8, **options}
    fetch = FetchOptions(transport=transport, **settings)
    return DownloadStage(Path("manifests"), Path("batches"), shared, fetch)


class Feed(Items[Wanted]):
    """What a worker gives its stage, here of one shard; with ``gaps`` it has nothing after each item."""

    def __init__(self, *urls: str, gaps: bool = False) -> None:
        self.urls = urls
        self.given = 0
        self.shelved: set[int] = set()
        self._stopped = False
        self._gaps = gaps
        self._gap = False

    def stop(self) -> None:
        self._stopped = True

    def __next__(self) -> Item[Wanted] | None:
        if self._stopped:
            raise StopIteration
        self._gap = self._gaps and not self._gap
        if self.given < len(self.urls) and not self._gap:
            self.given += 1
            return Item(Key(7, self.given - 1), Wanted(self.urls[self.given - 1]))
        if self.given == len(self.urls) and not self.shelved:
            raise StopIteration
        return None

    def put_by(self, key: Key) -> None:
        assert key.shard == 7
        assert key.index < self.given
        assert key.index not in self.shelved
        self.shelved.add(key.index)

    def take_back(self, shard: int, indices: Sequence[int]) -> list[Item[Wanted]]:
        assert shard == 7
        assert list(indices) == sorted(indices)
        if self._stopped:
            return []
        self.shelved.difference_update(indices)
        return [Item(Key(7, index), Wanted(self.urls[index])) for index in indices]


def run(work: DownloadStage, *urls: str) -> list[Result]:
    """The results in the order of the URLs."""
    results = [result for result in work.process(Feed(*urls)) if result is not None]
    assert len(results) == len(urls)
    return sorted(results, key=lambda result: result.key)


def outcomes(results: list[Result]) -> list[str]:
    return [result.mark.outcome for result in results]


def test_reads_its_items_from_the_manifest(transport: str, tmp_path: Path) -> None:
    write_manifests((Row(f"http://a.example/{number}", {}) for number in range(20)), tmp_path, 10)
    work = DownloadStage(tmp_path, tmp_path, tmp_path / "hosts", FetchOptions(transport=transport))
    assert list(work.read(1, [0, 3, 9])) == [
        Item(Key(1, 0), Wanted("http://a.example/10")),
        Item(Key(1, 3), Wanted("http://a.example/13")),
        Item(Key(1, 9), Wanted("http://a.example/19")),
    ]
    assert list(work.read(1, [])) == []


def test_is_a_stage_that_can_be_sent_to_workers(transport: str) -> None:
    work = stage(transport)
    assert pickle.loads(pickle.dumps(work)) == work
    assert (work.name, work.slice_size) == ("download", None)
    assert work.patience > work.options.timeout


def test_a_stored_image(transport: str) -> None:
    with WebServer({"/x": answer(JPEG, headers=["Content-Type: text/html"])}) as server:
        (result,) = run(stage(transport), server.url("/x"))
    assert result.key == Key(7, 0)
    assert result.payload == JPEG
    assert (result.mark.outcome, result.mark.size) == (DONE, len(JPEG))
    assert FetchDetail(*result.mark.detail) == FetchDetail(200, 1, "text/html", None)


def test_every_url_ends_in_exactly_one_result(transport: str) -> None:
    cases: dict[str, tuple[web.Handler, str]] = {
        "/good": (answer(JPEG), DONE),
        "/gone": (answer(b"no", "410 Gone"), "http_410"),
        "/empty": (answer(), "empty"),
        "/html": (answer(b"<html>", headers=["Content-Type: image/jpeg"]), "not_image"),
        "/tagged": (answer(JPEG, headers=["X-Robots-Tag: noai"]), "robots_tag"),
        "/tagged-for-another": (answer(JPEG, headers=["X-Robots-Tag: other: noai"]), DONE),
        "/redirect": (redirect("/good"), DONE),
        "/loop": (redirect("/loop"), "redirects"),
        "/to-file": (redirect("file:///etc/passwd"), "scheme"),
        "/to-nowhere": (redirect("http://[::1"), "redirects"),
        "/hang": (web.hang, "timeout"),
        "/drip": (web.drip_body, "timeout"),
        "/endless": (web.endless_body, "too_large"),
        "/reset": (web.Visit.reset, "truncated"),
        "/garbage": (web.raw(b"garbage\r\n\r\n"), "protocol"),
    }
    with WebServer({path: handler for path, (handler, _) in cases.items()}) as server:
        urls = [server.url(path) for path in cases] + ["no url", "ftp://a.example/x"]
        results = run(stage(transport, max_bytes=1_000_000), *urls)
    expected = [outcome for _, outcome in cases.values()] + ["invalid_url", "scheme"]
    assert dict(zip(urls, outcomes(results), strict=True)) == dict(zip(urls, expected, strict=True))
    assert all((result.payload is not None) == (result.mark.outcome == DONE) for result in results)
    assert results[6].mark.detail == FetchDetail(200, 1, None, server.url("/good"))
    assert results[-1].mark.detail == FetchDetail(None, 0, None, None)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_image_that_is_not_the_one_of_the_digest(transport: str, algorithm: str, tmp_path: Path) -> None:
    digest = hashlib.new(algorithm, JPEG).hexdigest()
    digests = [digest, f" {digest.upper()} ", None, "", digest[:-1] + "_", "nonsense", 7]
    expected = [DONE] * 4 + ["hash_mismatch"] * 3
    with WebServer({"*": answer(JPEG)}) as server:
        found = (Row(server.url(f"/{n}"), {"sum": each}) for n, each in enumerate(digests))
        write_manifests(found, tmp_path, 10)
        work = replace(
            stage(transport, timeout=10.0), manifests=tmp_path, digests=DigestColumn("sum", algorithm)
        )
        results = [result for result in work.process(work.read(0, range(len(digests)))) if result]
        assert outcomes(sorted(results, key=lambda result: result.key)) == expected
        assert len(server.heads) == len(digests)  # asked once each


def test_the_digest_is_that_of_the_decoded_body(transport: str) -> None:
    digest = Digest("sha256", hashlib.sha256(JPEG).hexdigest())
    packed = answer(gzip.compress(JPEG), headers=["Content-Encoding: gzip"])
    with WebServer({"/x": packed, "/html": answer(b"<html>")}) as server:
        wanted = [Item(Key(7, n), Wanted(server.url(path), digest)) for n, path in enumerate(("/x", "/html"))]
        results = [result for result in stage(transport).process(iter(wanted)) if result is not None]
    assert sorted(outcomes(results)) == [DONE, "not_image"]


def test_transient_failures_are_tried_again_and_permanent_ones_are_not(transport: str) -> None:
    error = answer(b"", "500 Oops")
    with WebServer({"/late": in_turn(error, error, answer(JPEG)), "/bad": error}) as server:
        results = run(
            stage(transport, retries=2, max_wait=0.05), *map(server.url, ("/late", "/bad", "/none"))
        )
    assert [(r.mark.outcome, FetchDetail(*r.mark.detail).attempts) for r in results] == [
        (DONE, 3),
        ("http_500", 3),
        ("http_404", 1),
    ]
    assert server.counts() == {"/late": 3, "/bad": 3, "/none": 1}


def test_hanging_urls_do_not_hold_up_the_others(transport: str) -> None:
    """With more hanging URLs than would be left room for if each waited for the one before."""
    with WebServer({"/hang": web.hang, "*": answer(JPEG)}) as server:
        urls = [server.url("/hang" if number % 20 == 0 else f"/{number}") for number in range(100)]
        order = [
            result.mark.outcome
            for result in stage(transport, timeout=1.0).process(Feed(*urls))
            if result is not None
        ]
    assert order.count("timeout") == 5
    assert order[:80] == [DONE] * 80


def test_a_retry_after_holds_no_slot(transport: str) -> None:
    """The only slot is free for another host while one asks us to wait."""
    busy = in_turn(answer(b"", "429 Slow", ["Retry-After: 1"]), answer(JPEG))
    with WebServer({"*": busy}) as patient, WebServer({"*": answer(JPEG)}) as other:
        work = stage(transport, connections=1, retries=1)
        urls = [patient.url("/"), *(other.url(f"/{number}") for number in range(5))]
        keys = [result.key.index for result in work.process(Feed(*urls)) if result is not None]
    assert sorted(keys[:-1]) == [1, 2, 3, 4, 5]
    assert keys[-1] == 0


def test_a_cap_per_host(transport: str, tmp_path: Path) -> None:
    crowd = Crowd(0.01)
    with WebServer({"*": crowd}) as server:
        work = stage(transport, tmp_path / "hosts", per_host=2)
        results = run(work, *(server.url(f"/{number}") for number in range(20)))
    assert outcomes(results) == [DONE] * 20
    assert crowd.most <= 2


def test_signs_of_life_while_everything_hangs(transport: str) -> None:
    with WebServer({"*": web.hang}) as server:
        results = list(stage(transport, timeout=1.5).process(Feed(server.url("/"))))
    assert results[0] is None
    assert [result.mark.outcome for result in results if result is not None] == ["timeout"]


def test_a_dead_host_costs_a_bounded_number_of_attempts(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what it leaves undone fails for the same reason; a host that answers is not held up by it."""
    monkeypatch.setattr(hosts, "PAUSE", 0.05)
    with WebServer({"*": web.hang}) as dead, WebServer({"*": answer(JPEG)}) as good:
        urls = [dead.url(f"/{number}") for number in range(500)]
        urls += [good.url(f"/{number}") for number in range(100)]
        results = [r for r in stage(transport, timeout=0.3, retries=2).process(Feed(*urls)) if r is not None]
    assert [result.key.index >= 500 for result in results[:100]] == [True] * 100
    assert sorted(outcomes(results)) == [DONE] * 100 + ["timeout"] * 500
    assert len(dead.heads) <= 22
    assert 0 in {FetchDetail(*result.mark.detail).attempts for result in results}


def test_a_host_that_cannot_be_reached(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "PAUSE", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = f"http://127.0.0.1:{listener.getsockname()[1]}"
    results = run(stage(transport, timeout=30.0), *(f"{closed}/{number}" for number in range(200)))
    assert outcomes(results) == ["connect"] * 200
    assert sum(FetchDetail(*result.mark.detail).attempts for result in results) <= 22


def test_a_feed_that_has_nothing_just_now(transport: str) -> None:
    with WebServer({"*": answer(JPEG)}) as server:
        feed = Feed(*map(server.url, ("/1", "/2", "/3")), gaps=True)
        results = [result for result in stage(transport).process(feed) if result is not None]
    assert sorted(result.key.index for result in results) == [0, 1, 2]


def test_bad_hosts_do_not_hold_up_a_good_one_however_much_there_is_for_them(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead, busy and hanging ones, each with more URLs than may wait."""
    monkeypatch.setattr(download, "MAX_WAITING", 30)
    busy = answer(b"", "429 Slow", ["Retry-After: 50"])
    with (
        WebServer({"*": web.hang}) as dead,
        WebServer({"*": busy}) as slow,
        WebServer({"*": web.drip_body}) as dripping,
        WebServer({"*": answer(JPEG)}) as good,
    ):
        urls = [server.url(f"/{number}") for server in (dead, slow, dripping) for number in range(400)]
        urls += [good.url(f"/{number}") for number in range(200)]
        feed = Feed(*urls)
        results = stage(transport, connections=64, timeout=600.0, retries=1).process(feed)
        finished = (result for result in results if result is not None)
        assert sorted(next(finished).key.index for _ in range(200)) == list(range(1200, 1400))
        assert len(feed.shelved) > 900
        results.close()  # type: ignore[attr-defined]


def test_what_was_put_by_fails_fast_when_its_host_is_given_up(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "PAUSE", 0.05)
    monkeypatch.setattr(download, "MAX_WAITING", 30)
    with WebServer({"*": web.hang}) as dead:
        results = run(stage(transport, timeout=0.3), *(dead.url(f"/{number}") for number in range(2000)))
    assert outcomes(results) == ["timeout"] * 2000
    assert len(dead.heads) <= 22
    assert sum(FetchDetail(*result.mark.detail).attempts == 0 for result in results) > 1900


def after_a_moment(visit: web.Visit) -> None:
    visit.server.closing.wait(0.005)
    visit.answer(JPEG)


def test_takes_no_more_than_it_has_room_for(
    transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slots, and a bounded waiting room; what is more is put by, and taken back when it is its turn."""
    monkeypatch.setattr(download, "MAX_WAITING", 10)
    most = finished = shelved = 0
    with WebServer({"*": after_a_moment}) as server:
        feed = Feed(*(server.url(f"/{number}") for number in range(500)))
        for result in stage(transport, tmp_path / "hosts", per_host=2).process(feed):
            most = max(most, feed.given - len(feed.shelved) - finished)
            shelved = max(shelved, len(feed.shelved))
            finished += result is not None
    assert finished == 500
    assert shelved > 0
    assert most <= 10 + 8 + shelf.TAKEN_BACK


def test_what_is_put_by_is_forgotten_when_the_feed_ends(
    transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does when the run is to stop."""
    monkeypatch.setattr(download, "MAX_WAITING", 10)
    finished = 0
    with WebServer({"*": after_a_moment}) as server:
        feed = Feed(*(server.url(f"/{number}") for number in range(1000)))
        for result in stage(transport, tmp_path / "hosts", per_host=1).process(feed):
            finished += result is not None
            if len(feed.shelved) > 100:
                feed.stop()
    assert 0 < finished < 900


def test_a_list_of_nothing_but_bad_lines(transport: str) -> None:
    feed = Feed(*["no url"] * 1000)
    results = stage(transport).process(feed)
    assert next(results) is not None
    assert feed.given <= 8
    assert len([result for result in results if result is not None]) == 999


def test_closing_it_drops_what_is_in_flight(transport: str) -> None:
    with WebServer({"/good": answer(JPEG), "*": web.hang}) as server:
        urls = [server.url("/hang"), server.url("/good"), server.url("/hang")]
        results = stage(transport, timeout=600).process(Feed(*urls))
        assert next(result for result in results if result is not None).key == Key(7, 1)
        results.close()  # type: ignore[attr-defined]
        assert list(results) == []


def test_redirects_to_another_host_and_back_to_a_refused_address(transport: str) -> None:
    with WebServer({"*": answer(JPEG)}) as target:
        with WebServer({"*": redirect(target.url("/x"))}) as server:
            (result,) = run(stage(transport), server.url("/"))
            assert result.mark.detail == FetchDetail(200, 1, None, target.url("/x"))
            work = stage(transport, allow_private=False)
            assert (
                outcomes(run(work, server.url("/"), server.url("/", host="localhost")))
                == ["blocked_address"] * 2
            )
        assert (target.connections, len(server.heads)) == (1, 1)


def test_memory_is_what_the_caps_allow(transport: str) -> None:
    """With 64 bodies that never end: the caps of all of them, and a quarter for the allocator."""
    code = """
import resource, sys
from test_download import Feed, stage

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

work = stage(sys.argv[1], connections=64, max_bytes=2_000_000, timeout=60.0)
before = peak()
outcomes = {result.mark.outcome for result in work.process(Feed(*[sys.argv[2]] * 128)) if result}
print(peak() - before, *outcomes)
"""
    with WebServer({"*": web.endless_body}) as server:
        command = [sys.executable, "-c", code, transport, server.url("/")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    grown, outcome = told.split()
    assert outcome == "too_large"
    assert int(grown) < 1.25 * 64 * 2_000_000 + 20_000_000
