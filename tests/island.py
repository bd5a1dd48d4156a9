"""A network of its own for a piece of code: one interface, no route, nobody to talk to but itself.

Needs the right to make a network namespace: to be root, or user namespaces for everybody.
"""

import os
import subprocess
import sys

_SETUP = """
import ctypes, fcntl, os, socket, struct

NEWUSER, NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, SIOCSIFADDR, IFF_UP = 0x8914, 0x8916, 1
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(NEWNET) and libc.unshare(NEWUSER | NEWNET):
    raise SystemExit("cannot make a network namespace: " + os.strerror(ctypes.get_errno()))
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    for number, address in enumerate(ADDRESSES):
        name = b"lo:%d" % number if number else b"lo"
        numeric = struct.pack("16sHxx4s8x", name, socket.AF_INET, socket.inet_aton(address))
        fcntl.ioctl(control, SIOCSIFADDR, numeric)
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh", name, IFF_UP))
"""


def run(code: str, *addresses: str) -> str:
    """What the code prints, run by another Python where these addresses are this machine's."""
    done = subprocess.run(
        [sys.executable, "-c", f"ADDRESSES = {('127.0.0.1', *addresses)}\n{_SETUP}\n{code}"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
