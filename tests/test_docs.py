"""The examples of README.md and docs/*.md do what they say: each page is run from top to bottom.

Blocks fenced as ``sh`` or ``python`` are run in order, in a folder of the page's own. What a page needs and
does not show, such as a URL list, it makes in a block inside an HTML comment. Everything else is fenced
otherwise: ``text`` or ``console``, for output and for what cannot be run here.

``sh``      by bash, which stops at the first failure. ``$SERVER`` is a server of small photographs, all
            different: /cat.jpg, /dog.jpg and /0.jpg, /1.jpg and so on; the rest is a 404. ``runner`` is this
            checkout's; it may fetch from private addresses, and so may the jobs that python blocks create.
            Both have two worker processes in README.md; elsewhere they do without, which is quicker.
``python``  in one namespace for the whole page. Modules that only some users have stand behind the language,
            as in ``python torch``: without them the block is left out.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import pictures
import pytest
from webserver import Visit, WebServer

import runner

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NAMED_PHOTOS = {"cat": 1_000_001, "dog": 1_000_002}

_BLOCK = re.compile(r"^```(\w*) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
_PHOTO = re.compile(r"/(\d+|cat|dog)\.jpg")
# Fences that look as if they were run, and would not be.
_LOOKALIKES = {"bash", "shell", "py", "python3", ""}


class Block(NamedTuple):
    """A fenced part of a page; ``line`` is where its code begins, counted from 0."""

    language: str
    needs: list[str]
    code: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        language, needs, code = match.groups()
        yield Block(language, needs.split(), code, text.count("\n", 0, match.start(3)))


@cache
def jpeg(name: str) -> bytes:
    return pictures.encode(pictures.photo(NAMED_PHOTOS.get(name) or int(name)))


def serve_photo(visit: Visit) -> None:
    match = _PHOTO.fullmatch(visit.path)
    if match:
        visit.answer(jpeg(match[1]), headers=["Content-Type: image/jpeg"])
    else:
        visit.answer(status="404 Not Found")


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with WebServer({"*": serve_photo}) as site:
        yield site


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the command ``runner``."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "runner"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m runner "$@"\n')
    command.chmod(0o755)
    return folder


@pytest.fixture
def workers(page: Path) -> int:
    return 2 if page.name == "README.md" else 0


@pytest.fixture
def environment(server: WebServer, commands: Path, workers: int) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": os.pathsep.join((str(commands), str(Path(sys.executable).parent), os.environ["PATH"])),
        "PYTHONPATH": str(ROOT),
        "SERVER": server.url("").rstrip("/"),
        "RUNNER_ALLOW_PRIVATE": "1",
        "RUNNER_NO_PROGRESS": "1",
        "RUNNER_WORKERS": str(workers),
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_examples_of_a_page_work(
    page: Path, environment: dict[str, str], workers: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERVER", environment["SERVER"])
    monkeypatch.setattr(runner.Job, "create", partial(runner.Job.create, allow_private=True, workers=workers))
    namespace: dict[str, Any] = {"__name__": page.name}
    for block in blocks(page):
        assert block.language not in _LOOKALIKES, f"{page.name}, line {block.line}: is this to be run?"
        if block.language == "sh":
            run_sh(block, environment, f"{page.name}, line {block.line}")
        elif block.language == "python" and all(map(find_spec, block.needs)):
            lines_before = "\n" * block.line  # so that tracebacks have the numbers of the page
            exec(compile(lines_before + block.code, page, "exec"), namespace)


def test_links_lead_somewhere_and_the_manual_is_whole() -> None:
    for page in PAGES:
        links = [(page.parent / link).resolve() for link in _LINK.findall(page.read_text())]
        assert [link for link in links if not link.exists()] == []
        if page.name == "README.md":
            assert set(PAGES) - {page} <= set(links)


def test_the_architecture_has_every_module_in_its_place() -> None:
    listed: dict[str, list[str]] = {}
    for line in (ROOT / "docs" / "architecture.md").read_text().splitlines():
        if heading := re.fullmatch(r"\| `(\w+)/` \| owns \|", line):
            modules = listed.setdefault(heading[1], [])
        elif row := re.fullmatch(r"\| (`\w+\.py`(?:, `\w+\.py`)*) \| .+ \|", line):
            modules += re.findall(r"\w+\.py", row[1])
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "runner").rglob("*.py")):
        if path.name != "__init__.py" or path.parent.name == "runner":
            found.setdefault(path.parent.name, []).append(path.name)
    assert {folder: sorted(names) for folder, names in listed.items()} == found


def run_sh(block: Block, environment: dict[str, str], where: str) -> None:
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", block.code],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{where}:\n{block.code}\n{done.stdout}{done.stderr}"
