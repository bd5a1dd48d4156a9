"""imagededup's hashing without its neural network, whose torch takes 5 GB and seconds to start."""

import importlib.util
import logging
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any


def hasher() -> Any:
    """Its ``PHash``; passed over are only the ``__init__`` of two packages, which import the network."""
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore", RuntimeWarning)  # that it needs fewer options than it has
    spec = importlib.util.find_spec("imagededup")
    assert spec is not None
    assert spec.origin is not None
    for name in ("methods", "utils"):
        package = ModuleType(f"imagededup.{name}")
        package.__path__ = [str(Path(spec.origin).parent / name)]
        sys.modules[package.__name__] = package
    from imagededup.methods.hashing import PHash

    return PHash(verbose=False)
