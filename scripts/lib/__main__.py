"""``python scripts/lib demo|bench|torture ...``: what the scripts of these names call."""

import importlib
import sys

from tools.children import end_cleanly

if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    with end_cleanly():
        sys.exit(importlib.import_module(command).main(arguments))
