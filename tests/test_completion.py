"""Completion in the shells themselves, those that are installed; and what help there is for every command."""

import os
import pty
import re
import select
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner import __version__
from runner.cli import main
from runner.cli.completion import SHELLS
from runner.cli.parser import build_parser

COMMANDS = list(build_parser()._subparsers._group_actions[0].choices.items())

Ask = Callable[[str], str]


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Path]:
    def write(shell: str) -> Path:
        if not shutil.which(shell):
            pytest.skip(f"needs {shell}")
        assert main(["completion", shell]) == 0
        path = tmp_path / "_runner"
        path.write_text(capsys.readouterr().out)
        return path

    return write


def output(*command: object, folder: Path) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.fixture
def bash(script: Callable[[str], Path], tmp_path: Path) -> Ask:
    words = 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))'
    code = f'. {script("bash")}; {words}; _shtab_runner; printf "%s\\n" "${{COMPREPLY[@]}}"'
    return lambda line: output("bash", "-c", code, "bash", *line.split(" "), folder=tmp_path)


@pytest.fixture
def fish(script: Callable[[str], Path], tmp_path: Path) -> Ask:
    path = script("fish")
    return lambda line: output("fish", "-c", f"source {path}; complete -C '{line}'", folder=tmp_path)


@pytest.fixture
def zsh(script: Callable[[str], Path]) -> Iterator[Ask]:
    """It completes only for somebody who types."""
    functions = script("zsh").parent
    process, terminal = pty.fork()
    if not process:
        os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb"})

    def read_until(pattern: str) -> str:
        seen = ""
        while not re.search(pattern, seen, re.DOTALL):
            assert select.select([terminal], [], [], 30)[0], f"{seen!r} and no more"
            seen += os.read(terminal, 1024).decode(errors="replace")
        return seen

    def ask(line: str) -> str:
        os.write(terminal, b"\x15" + line.encode() + b"\t")  # on an empty line; what is unique gets a space
        return read_until(re.escape(line) + r"\S+ ")

    setup = f"fpath=({functions} $fpath); autoload -U compinit; compinit -u -D; PS1=; echo rea''dy\n"
    os.write(terminal, setup.encode())
    read_until("ready.*\x1b\\[\\?2004h")  # now it takes what is typed
    yield ask
    os.close(terminal)
    os.waitpid(process, 0)


@pytest.mark.parametrize("shell", SHELLS)
def test_shells_complete_commands_options_and_their_values(
    shell: str, request: pytest.FixtureRequest
) -> None:
    ask: Ask = request.getfixturevalue(shell)
    assert "export" in ask("runner expo")
    assert "--min-side" in ask("runner export cats out --min-si")
    assert "phash" in ask("runner export cats out --dedup ph")


def test_bash_completes_job_folders(bash: Ask, tmp_path: Path) -> None:
    (tmp_path / "cats").mkdir()
    (tmp_path / "cats.txt").touch()
    assert bash("runner resume ca").split() == ["cats"]
    assert set(bash("runner start cats ca").split()) == {"cats", "cats.txt"}


@pytest.mark.parametrize(("name", "parser"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_the_help_of_every_command_has_an_example_that_is_understood(name: str, parser: object) -> None:
    example = parser.format_help().partition("Example: ")[2]  # type: ignore[attr-defined]
    command = re.split(r" [|>] ", " ".join(example.split()))[0].split()
    assert command[:2] == ["runner", name]
    assert build_parser().parse_args(command[1:]).command == name


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"runner {__version__}\n"
