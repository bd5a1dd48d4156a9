from runner.fetch import hosts
from runner.fetch.hosts import Hosts, Signal


def take_all(queue: Hosts[str], now: float = 0.0) -> list[str]:
    taken = []
    while (work := queue.take(now)) is not None:
        taken.append(work)
    return taken


def fill(queue: Hosts[str], name: str, number: int, now: float = 0.0) -> None:
    for index in range(number):
        queue.put(f"{name}{index}", name, now)


def run_round(queue: Hosts[str], name: str, signal: Signal, now: float) -> int:
    """Start all that may be started, let it end one second later, and say how much it was."""
    taken = take_all(queue, now)
    for _ in taken:
        queue.release(name, signal, now, now + 1)
    return len(taken)


def test_one_host_starts_as_wide_as_everything() -> None:
    queue: Hosts[str] = Hosts(64)
    fill(queue, "a", 100)
    assert take_all(queue) == [f"a{index}" for index in range(64)]
    assert queue.waiting == 36


def test_a_cap_holds() -> None:
    queue: Hosts[str] = Hosts(64, cap=3)
    fill(queue, "a", 10)
    assert len(take_all(queue)) == 3
    queue.release("a", Signal.GOOD, 0, 1)
    assert len(take_all(queue, 1)) == 1


def test_hosts_take_turns() -> None:
    queue: Hosts[str] = Hosts(64)
    fill(queue, "a", 50)
    fill(queue, "b", 2)
    assert [queue.take(0) for _ in range(4)] == ["a0", "b0", "a1", "b1"]


def test_a_host_that_is_full_does_not_hold_up_another() -> None:
    queue: Hosts[str] = Hosts(8, cap=1)
    fill(queue, "bad", 5)
    assert take_all(queue) == ["bad0"]
    fill(queue, "good", 1)
    assert take_all(queue) == ["good0"]


def test_busy_halves_once_per_round_and_success_recovers() -> None:
    queue: Hosts[str] = Hosts(64)
    fill(queue, "a", 10_000)
    widths = [run_round(queue, "a", Signal.BUSY, float(now)) for now in range(0, 16, 2)]
    assert widths == [64, 32, 16, 8, 4, 2, 1, 1]
    widths = [run_round(queue, "a", Signal.GOOD, float(now)) for now in range(20, 260, 2)]
    assert widths == sorted(widths)
    assert widths[-1] == 64


def test_time_outs_halve_when_they_are_many() -> None:
    queue: Hosts[str] = Hosts(16)
    fill(queue, "a", 1000)
    assert [run_round(queue, "a", Signal.SLOW, float(now)) for now in range(0, 8, 2)] == [16, 8, 4, 2]


def test_a_few_hanging_urls_are_not_the_hosts_fault() -> None:
    queue: Hosts[str] = Hosts(16)
    fill(queue, "a", 10_000)
    for now in range(0, 200, 2):
        taken = take_all(queue, float(now))
        assert len(taken) == 16
        for index, _ in enumerate(taken):
            queue.release("a", Signal.SLOW if index == 0 else Signal.GOOD, now, now + 1)


def test_a_pause_is_kept_and_ends_by_itself() -> None:
    queue: Hosts[str] = Hosts(8)
    fill(queue, "a", 3)
    assert queue.take(0.0) == "a0"
    queue.release("a", Signal.BUSY, 0.0, 1.0, pause=30.0)
    assert queue.take(30.9) is None
    assert queue.next_time() == 31.0
    assert queue.take(31.0) == "a1"


def test_work_for_later_comes_when_it_is_due() -> None:
    queue: Hosts[str] = Hosts(8)
    queue.put_later("second", "a", 2.0)
    queue.put_later("first", "b", 1.0)
    assert queue.waiting == 2
    assert queue.take(0.5) is None
    assert queue.next_time() == 1.0
    assert take_all(queue, 5.0) == ["first", "second"]
    assert queue.next_time() is None


def test_the_next_hop_comes_first() -> None:
    queue: Hosts[str] = Hosts(8)
    fill(queue, "a", 2)
    queue.put_first("hop", "a", 0.0)
    assert queue.take(0.0) == "hop"


def test_healthy_hosts_are_forgotten_and_troubled_ones_only_so_many_remembered() -> None:
    queue: Hosts[str] = Hosts(8)
    for number in range(hosts.MAX_REMEMBERED + 500):
        for name, signal in ((f"good{number}", Signal.GOOD), (f"bad{number}", Signal.BUSY)):
            queue.put("x", name, 0.0)
            queue.take(0.0)
            queue.release(name, signal, 0.0, 1.0)
    assert len(queue._hosts) == hosts.MAX_REMEMBERED


def test_a_troubled_host_is_remembered() -> None:
    queue: Hosts[str] = Hosts(8)
    fill(queue, "a", 1)
    run_round(queue, "a", Signal.BUSY, 0.0)
    fill(queue, "a", 10)
    assert len(take_all(queue, 5.0)) == 4
