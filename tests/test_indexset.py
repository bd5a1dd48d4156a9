from random import Random

from runner.engine.indexset import IndexSet


def test_it_is_a_set() -> None:
    random = Random(7)
    ours, plain = IndexSet(), set[int]()
    for _ in range(200):
        added = random.sample(range(500), 3)
        ours.update(added)
        plain.update(added)
        for index in random.sample(range(600), 4):
            ours.discard(index)
            plain.discard(index)
        assert list(ours) == sorted(plain)
        assert len(ours) == len(plain)
        assert ours.without(range(250)) == sorted(plain - set(range(250)))
    assert [index in ours for index in range(600)] == [index in plain for index in range(600)]
    assert not IndexSet()
