"""The other tools: those of the system, and those of PyPI in environments made when first needed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .measure import Contender


class MissingPeer(Exception):
    """A tool that is not installed; the message says how to."""


@dataclass(frozen=True)
class PythonPeer:
    """A tool of PyPI at a fixed version.

    ``without``  what the distribution asks for and the part that is measured does not need: then
                 ``needs`` is installed instead
    """

    name: str
    version: str
    needs: tuple[str, ...] = ()
    without: str = ""

    def python(self, folder: Path) -> Path:
        """The interpreter of the tool's own environment below ``folder``, made now if it is not there."""
        environment = folder / "peers" / f"{self.name}-{self.version}"
        python = environment / "bin" / "python"
        made = environment / "made"
        if not made.exists():
            print(f"Installing {self.name} {self.version} in {environment} (once) ...", flush=True)
            self._install(environment, python)
            made.touch()
        return python

    def _install(self, environment: Path, python: Path) -> None:
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        wanted = f"{self.name}=={self.version}"
        steps = [[sys.executable, "-m", "venv", "--clear", environment], [*pip, *self.needs, wanted]]
        if self.without:
            steps[1:] = [[*pip, *self.needs], [*pip, "--no-deps", wanted]]
        for step in steps:
            if subprocess.run(step, stdout=sys.stderr).returncode:
                raise MissingPeer(f"{self.name} {self.version} could not be installed: see above")


IMG2DATASET = PythonPeer("img2dataset", "1.47.0")
# Its hashing does without torch, which takes 5 GB and which only its neural network uses.
IMAGEDEDUP = PythonPeer(
    "imagededup",
    "0.3.3.post2",
    needs=("matplotlib", "numpy", "Pillow==13.0.0", "PyWavelets", "scikit-learn", "scipy", "tqdm"),
    without="torch, torchvision",
)

PACKAGE_OF = {"aria2c": "aria2", "nginx": "nginx-light"}
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
TOOLS = ("nginx", "aria2c", "wget", "curl", "tar")


def tool(name: str) -> str:
    """The path of a tool of the system. Raises MissingPeer."""
    path = shutil.which(name, path=_PATH)
    if path is None:
        raise MissingPeer(f"{name} is not installed (apt install {PACKAGE_OF.get(name, name)})")
    return path


def those_there(makers: Iterable[Callable[[], Contender]]) -> list[Contender]:
    """The contenders that can be had; says which ones cannot."""
    found = []
    for make in makers:
        try:
            found.append(make())
        except MissingPeer as missing:
            print(f"Left out: {missing}.", flush=True)
    return found


def versions() -> dict[str, str]:
    """Of the tools of the system that are there, in their own words, and of the others."""
    there = {name: path for name in TOOLS if (path := shutil.which(name, path=_PATH))}
    system = {name: _said(path, "-v" if name == "nginx" else "--version") for name, path in there.items()}
    return system | {peer.name: peer.version for peer in (IMG2DATASET, IMAGEDEDUP)}


def _said(path: str, flag: str) -> str:
    """The first number in what a tool says of its version."""
    done = subprocess.run([path, flag], capture_output=True, text=True)
    words = [word.split("/")[-1] for word in (done.stdout or done.stderr).split()]
    return next(word for word in words if word[0].isdigit())
