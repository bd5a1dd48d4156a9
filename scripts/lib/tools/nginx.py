"""The system's nginx, on a free port of loopback and with a configuration of its own."""

import getpass
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .children import Child

MISSING = (
    "nginx is not installed: on Debian and Ubuntu `apt install nginx-light`, on Fedora `dnf install nginx`."
)

CONFIGURATION = """
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    open_file_cache max=10000;
    default_type image/jpeg;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {listen}:{port} backlog=4096;
        allow 127.0.0.0/8;
        deny all;
        location / {{ root "{root}"; {rule} }}
    }}
}}
"""


@contextmanager
def serve(root: Path, only: str | None = None, listen: str = "127.0.0.1") -> Iterator[str]:
    """Serve the files of a folder, or ``only`` one of them at every path; gives the URL before the paths.

    With ``listen="0.0.0.0"`` every address of loopback is one of its hosts; nobody else is answered.
    """
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if binary is None:
        raise SystemExit(MISSING)
    with tempfile.TemporaryDirectory(prefix="nginx-") as name:
        folder = Path(name)
        port = _free_port()
        configuration = folder / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                # Started by root, the workers would be nobody, who may not read our files.
                user=f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
                folder=folder,
                listen=listen,
                port=port,
                root=root.resolve(),
                rule=f"try_files /{only} =404;" if only else "",
            )
        )
        with Child([binary, "-p", folder, "-c", configuration, "-e", folder / "error.log"]) as server:
            _wait_until_open(server, port, folder / "error.log")
            yield f"http://127.0.0.1:{port}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_open(server: Child, port: int, log: Path) -> None:
    while server.running:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nginx did not start: {log.read_text().strip() if log.exists() else 'it says nothing'}")
