import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from webserver import Crowd, WebServer

from runner import Job
from runner.fetch.quota import Quota


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "hosts"


@pytest.fixture
def pair(request: pytest.FixtureRequest, file: Path) -> Iterator[tuple[Quota, Quota]]:
    """Two processes' views of one file, as far as the kernel is concerned."""
    per_host, rate = request.param
    with closing(Quota(file, per_host, rate)) as one, closing(Quota(file, per_host, rate)) as other:
        yield one, other


@pytest.mark.parametrize("pair", [(3, 0)], indirect=True)
def test_a_cap_holds_over_all(pair: tuple[Quota, Quota]) -> None:
    one, other = pair
    assert [one.enter("a", 0.0), one.enter("a", 0.0), other.enter("a", 0.0)] == [None] * 3
    for quota in pair:
        again = quota.enter("a", 7.0)
        assert again is not None
        assert 7.0 < again < 7.1
    one.leave("a")
    assert other.enter("a", 1.0) is None
    assert one.enter("a", 1.0) is not None


@pytest.mark.parametrize("pair", [(1, 0)], indirect=True)
def test_hosts_have_places_of_their_own(pair: tuple[Quota, Quota]) -> None:
    one, other = pair
    assert one.enter("a", 0.0) is None
    assert [other.enter(f"b{number}", 0.0) for number in range(50)] == [None] * 50


@pytest.mark.parametrize("pair", [(0, 4)], indirect=True)
def test_a_rate_holds_over_all(pair: tuple[Quota, Quota]) -> None:
    asked = 0
    for step in range(1001):
        now = 100 + step / 100
        asked += sum(quota.enter("a", now) is None for quota in pair)
    assert asked == 41  # one at the start, and four in each of ten seconds


@pytest.mark.parametrize("pair", [(0, 4)], indirect=True)
def test_a_rate_says_when_to_come_again(pair: tuple[Quota, Quota]) -> None:
    one, other = pair
    assert one.enter("a", 100.0) is None
    assert other.enter("a", 100.1) == 100.25
    assert other.enter("b", 100.1) is None


@pytest.mark.parametrize("pair", [(0, 4)], indirect=True)
def test_being_late_costs_nothing_and_being_idle_saves_nothing(pair: tuple[Quota, Quota]) -> None:
    one, _ = pair
    assert one.enter("a", 100.0) is None
    assert one.enter("a", 100.3) is None
    assert one.enter("a", 100.4) == 100.5
    assert one.enter("a", 200.0) is None
    assert one.enter("a", 200.1) == 200.25


@pytest.mark.parametrize("pair", [(1, 4)], indirect=True)
def test_a_place_is_not_kept_while_the_rate_says_no(pair: tuple[Quota, Quota]) -> None:
    one, other = pair
    assert one.enter("a", 100.0) is None
    one.leave("a")
    assert one.enter("a", 100.1) == 100.25
    assert other.enter("a", 100.25) is None


def test_times_from_before_a_restart_of_the_machine_mean_nothing(file: Path) -> None:
    with closing(Quota(file, 0, 4)) as before:
        assert before.enter("a", 1_000_000.0) is None
    with closing(Quota(file, 0, 4)) as after:
        assert after.enter("a", 50.0) is None


def test_the_places_of_a_process_that_was_killed_are_free(file: Path) -> None:
    code = f"""
import pathlib, signal
from runner.fetch.quota import Quota
quota = Quota(pathlib.Path({str(file)!r}), 1, 0)
print(quota.enter("a", 0.0), flush=True)
signal.pause()
"""
    with closing(Quota(file, 1, 0)) as quota:
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "None\n"
            assert quota.enter("a", 0.0) is not None
            other.kill()
        assert quota.enter("a", 0.0) is None


def test_a_cap_holds_over_all_the_workers_of_a_job(tmp_path: Path) -> None:
    crowd = Crowd(0.02)
    with WebServer({"*": crowd}) as server:
        urls = tmp_path / "urls.txt"
        urls.write_text("\n".join(server.url(f"/{number}") for number in range(60)))
        options = {"allow_private": True, "workers": 3, "shard_size": 20, "rate": 200.0}
        job = Job.create(tmp_path / "job", [str(urls)], per_host=2, **options)
        job.download()
    assert job.status().items["stored"] == 60
    assert crowd.most <= 2
