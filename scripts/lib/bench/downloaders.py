"""Tools that download a list of URLs, each to its own format: the commands, and whether all has arrived."""

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.driver import RUNNER, CommandFailed, Job

from . import peers
from .measure import PROGRAMS, Contender, command

CONNECTIONS = 64


@dataclass(frozen=True)
class Assignment:
    """A list of URLs to download into ``folder``, which is emptied before and after.

    ``good``     how many of them have an image
    ``timeout``  seconds for each
    """

    urls: Sequence[str]
    folder: Path
    good: int
    timeout: int = 10

    def write(self, name: str, lines: Sequence[str]) -> Path:
        """A file beside the folder with these lines, of a name that no longer or shorter list has."""
        file = self.folder.with_name(f"{len(self.urls)}-{name}")
        file.write_text("".join(f"{line}\n" for line in lines))
        return file

    def contender(self, name: str, words: Sequence[str | Path], stored: Callable[[Path], int]) -> Contender:
        """A command that downloads the list; how many images it has ``stored`` is looked at afterwards."""

        def prepare() -> None:
            shutil.rmtree(self.folder, ignore_errors=True)

        def clean_up() -> None:
            found = stored(self.folder)
            if found != self.good:
                raise CommandFailed(f"{name} stored {found:,} of {self.good:,} images: see {self.folder}")
            shutil.rmtree(self.folder)

        if self.good < len(self.urls):  # which some tell by their exit code
            words = ["sh", "-c", '"$@" || true', "sh", *words]
        return command(name, words, len(self.urls), prepare, clean_up)


def bare_loop(task: Assignment) -> Contender:
    """The limit: libcurl and LMDB, and nothing else."""
    urls = task.write("bare.txt", task.urls)
    script = PROGRAMS / "reference_download.py"
    return task.contender("bare libcurl loop", [sys.executable, script, urls, task.folder], _in_lmdb)


def stored_nowhere(task: Assignment) -> Contender:
    """The bare loop without its storing: it throws away what it fetches, and fails unless that is all."""
    script = PROGRAMS / "reference_download.py"
    words = [sys.executable, script, task.write("nowhere.txt", task.urls)]
    return command("bare libcurl loop, stored nowhere", words, len(task.urls))


def runner(task: Assignment, transport: str = "curl", *options: str) -> Contender:
    urls = task.write(f"runner-{transport}.txt", task.urls)
    words = [
        *RUNNER,
        "start",
        task.folder,
        urls,
        "--allow-private",
        "--no-progress",
        "--transport",
        transport,
    ]
    return task.contender(
        f"runner, {transport}",
        [*words, "--timeout", str(task.timeout), *options],
        lambda folder: int(Job(folder).status()["items"]["stored"]),
    )


def img2dataset(task: Assignment) -> Contender:
    """Raw bytes to tar files: without decoding, resizing and encoding, which it does by default."""
    binary = peers.IMG2DATASET.python(task.folder.parent).with_name("img2dataset")
    options = {
        "url_list": task.write("img2dataset.txt", task.urls),
        "output_folder": task.folder,
        "output_format": "webdataset",
        "disable_all_reencoding": True,
        "processes_count": 2,
        "thread_count": CONNECTIONS // 2,
        "timeout": task.timeout,
    }
    words = [binary, *(f"--{name}={value}" for name, value in options.items())]
    # It would look for a new version of one of its parts.
    return task.contender("img2dataset", ["env", "NO_ALBUMENTATIONS_UPDATE=1", *words], _in_tar)


def aria2c(task: Assignment) -> Contender:
    lines = [line for k, url in enumerate(task.urls) for line in (url, f"  out={k}.jpg")]
    words = [
        peers.tool("aria2c"),
        "-i",
        task.write("aria2c.txt", lines),
        "-d",
        task.folder,
        f"-j{CONNECTIONS}",
    ]
    return task.contender("aria2c", [*words, "--quiet", "--no-conf", "--file-allocation=none"], _in_files)


def wget(task: Assignment) -> Contender:
    """One connection."""
    words = [peers.tool("wget"), "--no-config", "--quiet", "-i", task.write("wget.txt", task.urls)]
    return task.contender("wget", [*words, "-P", task.folder], _in_files)


def curl(task: Assignment) -> Contender:
    lines = [
        line
        for k, url in enumerate(task.urls)
        for line in (f'url = "{url}"', f'output = "{task.folder}/{k}.jpg"')
    ]
    words = [peers.tool("curl"), "-q", "--silent", "--create-dirs", "--max-time", str(task.timeout)]
    words += ["--parallel", "--parallel-max", str(CONNECTIONS), "--config", task.write("curl.txt", lines)]
    return task.contender("curl --parallel", words, _in_files)


def original(task: Assignment) -> Contender:
    """The script that runner takes the place of."""
    words = [
        sys.executable,
        PROGRAMS / "original_download.py",
        task.write("original.txt", task.urls),
        task.folder,
    ]
    return task.contender("the original script", words, _in_files)


def _in_files(folder: Path) -> int:
    return sum(1 for file in folder.iterdir() if file.stat().st_size)


def _in_tar(folder: Path) -> int:
    return sum(json.loads(file.read_text())["successes"] for file in folder.glob("*_stats.json"))


def _in_lmdb(folder: Path) -> int:
    import lmdb

    count = 0
    for file in folder.glob("*.lmdb"):
        with lmdb.open(str(file), subdir=False, readonly=True, lib_version=0) as store:
            count += store.stat()["entries"]
    return count
