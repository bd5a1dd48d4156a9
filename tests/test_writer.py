"""The chunk writer: what it gathers it commits, delivers, and no longer counts as waiting."""

import threading
from pathlib import Path

import pytest

from runner.engine import writer
from runner.engine.errors import StoreError
from runner.engine.items import DONE, Key, Mark, Result
from runner.engine.shardfile import read_payloads
from runner.engine.writer import ChunkWriter


def results(count: int) -> list[Result]:
    return [Result(Key(0, index), Mark(DONE, 1000), bytes(1000)) for index in range(count)]


@pytest.mark.parametrize("output", [None, "out"])
def test_what_was_delivered_waits_no_longer(tmp_path: Path, monkeypatch, output):
    monkeypatch.setattr(writer, "BACKLOG_BYTES", 10_000)
    monkeypatch.setattr(writer, "CHUNK_ITEMS", 8)
    delivered: list[Result] = []
    chunks = ChunkWriter(output and tmp_path / output, delivered.extend)
    chunks.open(0)
    for result in results(100):
        chunks.add(result)
    chunks.close()
    assert not chunks.behind
    assert delivered == results(100)
    if output:
        assert len(dict(read_payloads(tmp_path / output / "00000.lmdb"))) == 100


def test_it_says_when_the_disk_is_slower_than_the_work(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(writer, "BACKLOG_BYTES", 10_000)
    monkeypatch.setattr(writer, "CHUNK_SECONDS", 600)
    chunks = ChunkWriter(None, lambda results: None)
    for result in results(20):
        chunks.add(result)  # the chunk is not full and not old enough to be committed
    assert chunks.behind
    chunks.close()
    assert not chunks.behind


def test_a_flush_does_not_wait_for_the_chunk_to_be_full_or_old(monkeypatch):
    monkeypatch.setattr(writer, "CHUNK_SECONDS", 600)
    arrived = threading.Event()
    chunks = ChunkWriter(None, lambda results: arrived.set())
    chunks.add(results(1)[0])
    chunks.flush()
    assert arrived.wait(timeout=30)
    chunks.close()


def test_an_error_of_its_thread_is_raised_where_the_work_is(tmp_path: Path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "00000.lmdb").write_bytes(b"noise" * 5000)
    chunks = ChunkWriter(tmp_path / "out", lambda results: None)
    with pytest.raises(StoreError, match=r"00000\.lmdb"):
        chunks.open(0)
    chunks.close()

    def refuse(results: object) -> None:
        raise StoreError("no")

    chunks = ChunkWriter(None, refuse)
    chunks.add(results(1)[0])
    with pytest.raises(StoreError, match="no"):
        chunks.close()
    with pytest.raises(StoreError, match="no"):
        chunks.check()
