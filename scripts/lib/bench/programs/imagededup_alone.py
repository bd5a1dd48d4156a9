"""imagededup's hashing without its neural network, whose torch takes 5 GB and seconds to start."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def hasher() -> object:
    """Its ``PHash``; only the package's ``__init__``, which imports the network too, is passed over."""
    spec = importlib.util.find_spec("imagededup")
    assert spec is not None
    assert spec.origin is not None
    package = ModuleType("imagededup.methods")
    package.__path__ = [str(Path(spec.origin).parent / "methods")]
    sys.modules[package.__name__] = package
    from imagededup.methods.hashing import PHash

    return PHash(verbose=False)
