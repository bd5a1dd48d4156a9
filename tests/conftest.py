"""What the tests of several modules are given."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.cli import main


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Where an export goes to; not there yet."""
    return tmp_path / "out"


@pytest.fixture
def cli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """A command, run in this process and in a folder of the test's own: its exit code, what it said where."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return code, said.out, said.err

    return run
