"""One LMDB environment for each file and process: readers, writers and forks beside each other."""

import os
import threading
from pathlib import Path

import pytest

from runner.engine import store
from runner.engine.errors import StoreError
from runner.engine.items import DONE, Key, Mark, Result
from runner.engine.shardfile import ShardFile, read_payloads


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "00000.lmdb"
    with ShardFile(path) as file:
        file.append([result(0)])
    return path


def result(index: int) -> Result:
    payload = b"payload %d" % index
    return Result(Key(0, index), Mark(DONE, len(payload)), payload)


def test_readers_stand_beside_each_other_and_close_alone(path: Path) -> None:
    first, second = ShardFile(path, readonly=True), ShardFile(path, readonly=True)
    first.close()
    first.close()
    assert second.stored(Key(0, 0)) == result(0)
    second.close()
    with pytest.raises(StoreError):
        second.count()


def test_a_reader_goes_on_when_a_writer_comes_and_goes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "FIRST_MAP_SIZE", 1 << 16)  # it has to grow, too
    with ShardFile(path, readonly=True) as reader:
        with ShardFile(path) as writer:
            for index in range(1, 3000):
                if index % 300 == 0:
                    assert reader.count() == index - 299
                    writer.append([result(each) for each in range(index - 299, index + 1)])
        assert reader.stored(Key(0, 2700)) == result(2700)


def test_a_reader_joins_a_writer(path: Path) -> None:
    with ShardFile(path) as writer, ShardFile(path, readonly=True) as reader:
        writer.append([result(1)])
        assert list(reader.payloads()) == [(0, b"payload 0"), (1, b"payload 1")]
    assert len(list(read_payloads(path))) == 2


def test_what_is_replaced_by_another_file_is_opened_anew(path: Path, tmp_path: Path) -> None:
    with ShardFile(path, readonly=True) as reader:
        path.rename(tmp_path / "aside.lmdb")
        path.with_name(path.name + "-lock").unlink()
        with ShardFile(path) as writer:
            writer.append([result(7)])
            assert writer.indices() == {7}
        assert reader.indices() == {0}


def test_a_child_opens_what_its_parent_has_open(path: Path) -> None:
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            list(read_payloads(path))

    reading = [threading.Thread(target=read) for _ in range(2)]
    with ShardFile(path) as writer:
        for thread in reading:
            thread.start()
        for index in range(1, 20):
            child = os.fork()
            if not child:  # whatever happens here, it must not come back into pytest
                try:
                    os._exit(0 if len(list(read_payloads(path))) == index else 1)
                finally:
                    os._exit(2)
            assert os.waitpid(child, 0)[1] == 0
            writer.append([result(index)])
        stop.set()
        for thread in reading:
            thread.join()
