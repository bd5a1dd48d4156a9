"""``python scripts/lib demo|bench|torture ...``: what the scripts of these names call."""

import importlib
import sys

from tools.children import end_cleanly
from tools.driver import CommandFailed

if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    with end_cleanly():
        try:
            code = importlib.import_module(command).main(arguments)
        except CommandFailed as error:
            print(error, file=sys.stderr)
            code = 1
    sys.exit(code)
