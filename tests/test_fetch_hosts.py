from runner.fetch import hosts
from runner.fetch.hosts import Hosts, News, Signal

GOOD = News(Signal.GOOD)
BUSY = News(Signal.BUSY, "http_429")
CROWDED = News(Signal.CROWDED)
SLOW = News(Signal.SLOW, "timeout")
SILENT = News(Signal.SILENT, "connect")


def take_all(queue: Hosts[str], now: float = 0.0) -> list[str]:
    taken = []
    while (work := queue.take(now)) is not None:
        taken.append(work)
    return taken


def fill(queue: Hosts[str], name: str, number: int, now: float = 0.0) -> None:
    for index in range(number):
        queue.put(f"{name}{index}", name, now)


def run_round(queue: Hosts[str], name: str, news: News, now: float) -> int:
    """Start all that may be started, let it end one second later, and say how much it was."""
    taken = take_all(queue, now)
    for _ in taken:
        queue.release(name, news, now, now + 1)
    return len(taken)


def proven(width: int) -> Hosts[str]:
    """With much work for a host "a", which has answered often enough to get all there is."""
    queue: Hosts[str] = Hosts(width)
    fill(queue, "a", 10_000)
    for _ in range(width):
        queue.take(0.0)
        queue.release("a", GOOD, 0.0, 0.0)
    return queue


def test_a_host_gets_few_at_first_and_three_times_as_many_after_each_round() -> None:
    queue: Hosts[str] = Hosts(100)
    fill(queue, "a", 1000)
    assert [run_round(queue, "a", GOOD, float(now)) for now in range(5)] == [16, 48, 100, 100, 100]


def test_a_quick_host_gets_no_more_than_it_needs() -> None:
    queue: Hosts[str] = Hosts(1000)
    fill(queue, "a", 10_000)
    widths = []
    for now in range(6):
        taken = take_all(queue, float(now))
        widths.append(len(taken))
        for _ in taken:
            queue.release("a", GOOD, float(now), now + 0.02)
    assert widths == [16, 48, 100, 100, 100, 100]


def test_a_host_never_gets_more_than_half_before_it_has_answered() -> None:
    queue: Hosts[str] = Hosts(9)
    fill(queue, "a", 100)
    assert len(take_all(queue)) == 5
    assert queue.waiting == 95


def test_a_crowd_at_the_door_halves_and_growth_is_slow_from_then_on() -> None:
    queue = proven(64)
    assert [run_round(queue, "a", CROWDED, float(now)) for now in range(0, 12, 4)] == [64, 32, 16]
    assert [run_round(queue, "a", GOOD, float(now)) for now in range(20, 26, 2)] == [8, 8, 9]
    assert lost(queue) == []


def test_a_cap_holds() -> None:
    queue: Hosts[str] = Hosts(64, cap=3)
    fill(queue, "a", 10)
    assert len(take_all(queue)) == 3
    queue.release("a", GOOD, 0, 1)
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
    queue = proven(64)
    widths = [run_round(queue, "a", BUSY, float(now)) for now in range(0, 32, 4)]
    assert widths == [64, 32, 16, 8, 4, 2, 1, 1]
    widths = [run_round(queue, "a", GOOD, float(now)) for now in range(40, 280, 2)]
    assert widths == sorted(widths)
    assert widths[-1] == 64


def test_time_outs_halve_when_they_are_many() -> None:
    queue = proven(16)
    widths = []
    for now in range(0, 8, 2):
        taken = take_all(queue, float(now))
        widths.append(len(taken))
        for index, _ in enumerate(taken):
            queue.release("a", SLOW if index % 2 else GOOD, now, now + 1)
    assert widths == [16, 8, 4, 2]


def test_a_few_hanging_urls_are_not_the_hosts_fault() -> None:
    queue = proven(16)
    for now in range(0, 200, 2):
        taken = take_all(queue, float(now))
        assert len(taken) == 16
        for index, _ in enumerate(taken):
            queue.release("a", SLOW if index == 0 else GOOD, now, now + 1)


def test_a_pause_is_kept_and_ends_by_itself() -> None:
    queue: Hosts[str] = Hosts(8)
    fill(queue, "a", 3)
    assert queue.take(0.0) == "a0"
    queue.release("a", News(Signal.BUSY, "http_503", pause=30.0), 0.0, 1.0)
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
        for name, signal in ((f"good{number}", GOOD), (f"bad{number}", BUSY)):
            queue.put("x", name, 0.0)
            queue.take(0.0)
            queue.release(name, signal, 0.0, 1.0)
    assert len(queue._hosts) == hosts.MAX_REMEMBERED


def test_a_troubled_host_is_remembered() -> None:
    queue: Hosts[str] = Hosts(8)
    fill(queue, "a", 1)
    run_round(queue, "a", BUSY, 0.0)
    fill(queue, "a", 10)
    assert len(take_all(queue, 5.0)) == 2


def silence(queue: Hosts[str], now: float) -> tuple[int, float]:
    """Let everything that may start fail to reach its host: how much it was, and when it goes on."""
    number = run_round(queue, "a", SILENT, now)
    return number, max(now + 1, queue.next_time() or 0.0)


def lost(queue: Hosts[str]) -> list[tuple[str, str]]:
    return list(iter(queue.lose, None))


def test_a_silent_host_is_probed_after_pauses_and_then_given_up() -> None:
    queue: Hosts[str] = Hosts(64)
    fill(queue, "a", 100)
    tried, now = [], 0.0
    while queue.waiting and not lost(queue):
        number, now = silence(queue, now)
        tried.append((number, now))
    assert tried == [(16, 1 + hosts.PAUSE), (3, 2 + 3 * hosts.PAUSE), (3, 3 + 3 * hosts.PAUSE)]
    assert queue.waiting == 0


def test_a_host_that_never_answers_gets_no_more_however_its_silence_is_spread() -> None:
    queue: Hosts[str] = Hosts(64)
    fill(queue, "a", 100)
    now, tried, in_flight = 0.0, 0, 0
    while not lost(queue):
        tried += len(taken := take_all(queue, now))
        in_flight += len(taken)
        if in_flight:
            queue.release("a", SLOW, now, now + 0.1)
            in_flight -= 1
        now += 0.1
    assert tried == hosts.SILENT_ROUND + (hosts.SILENT_ROUNDS - 1) * hosts.PROBES


def test_what_comes_for_a_host_that_was_given_up_is_lost_until_it_is_tried_again() -> None:
    queue: Hosts[str] = Hosts(64)
    fill(queue, "a", 100)
    now = 0.0
    while not lost(queue):
        _, now = silence(queue, now)
    queue.put("x", "a", now)
    queue.put_first("y", "a", now)
    queue.put_later("z", "a", now + 1)
    assert queue.take(now + 1) is None
    assert lost(queue) == [("x", "connect"), ("y", "connect"), ("z", "connect")]
    assert queue.waiting == 0
    fill(queue, "a", 10, now + hosts.GIVEN_UP)
    assert run_round(queue, "a", SILENT, now + hosts.GIVEN_UP) == hosts.PROBES
    assert len(lost(queue)) == 7  # one more round without an answer was enough


def test_one_answer_of_a_silent_host_brings_it_back_at_half_its_width() -> None:
    queue = proven(64)
    _, now = silence(queue, 1.0)
    assert None not in (queue.take(now), queue.take(now))
    queue.release("a", GOOD, now, now + 1)
    queue.release("a", SILENT, now, now + 1)
    assert len(take_all(queue, now + 1)) == 32


def test_few_urls_that_hang_do_not_condemn_a_host() -> None:
    queue: Hosts[str] = Hosts(1)
    fill(queue, "a", 15)
    for now in range(15):
        assert run_round(queue, "a", SLOW, now * 2) == 1
    assert not lost(queue)


def test_silence_is_remembered_of_a_host_that_is_asked_for_now_and_then() -> None:
    queue: Hosts[str] = Hosts(64)
    for now in range(100, 200, 10):
        fill(queue, "a", 10)
        run_round(queue, "a", SILENT, float(now))
    assert len(lost(queue)) > 50


def test_a_host_that_stays_busy_is_given_up() -> None:
    queue = proven(64)
    now, times = 0.0, 0
    while queue.waiting and not queue._lost:
        run_round(queue, "a", BUSY, now)
        now, times = max(now + 1, queue.next_time() or 0.0), times + 1
    assert times == 6 + hosts.BUSY_ROUNDS
    assert now > 2 ** (hosts.BUSY_ROUNDS - 1) * hosts.PAUSE
    assert {reason for _, reason in lost(queue)} == {"http_429"}


def test_a_host_that_recovers_from_being_busy_grows_slowly() -> None:
    queue = proven(64)
    now = 0.0
    for _ in range(9):
        run_round(queue, "a", BUSY, now)
        now = max(now + 1, queue.next_time() or 0.0)
    widths = []
    for _ in range(4):
        widths.append(run_round(queue, "a", GOOD, now))
        now += 1
    assert widths == [1, 2, 2, 3]


class Turnstile:
    """Lets a host in only after some time, and keeps count."""

    def __init__(self, opens: float) -> None:
        self.opens = opens
        self.inside = 0

    def enter(self, host: str, now: float) -> float | None:
        if now < self.opens:
            return self.opens
        self.inside += 1
        return None

    def leave(self, host: str) -> None:
        self.inside -= 1


def test_a_gate_makes_a_host_wait() -> None:
    gate = Turnstile(5.0)
    queue: Hosts[str] = Hosts(64, gate=gate)
    fill(queue, "a", 2)
    assert queue.take(0.0) is None
    assert queue.next_time() == 5.0
    assert take_all(queue, 5.0) == ["a0", "a1"]
    assert gate.inside == 2
    queue.release("a", SILENT, 5.0, 6.0)
    assert gate.inside == 1
