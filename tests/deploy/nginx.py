"""A real nginx with the files of docs/deploy/nginx: as an ordinary user, on ports of its own, with a folder for its /etc/nginx.

Only addresses, ports and paths are put in the place of those in the files; what a test changes besides, it says.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.deploy.ordinary import as_user, bare_environment, folder_of, ordinary_user, program
from tests.faults.process import ROOT, until

FILES = ROOT / "docs" / "deploy" / "nginx"

# What Debian's own nginx.conf says, with the places of this folder.
_MAIN = """
daemon off;
worker_processes 2;
pid nginx.pid;
error_log error.log;
events { worker_connections 768; }
http {
    sendfile on;
    tcp_nopush on;
    types_hash_max_size 2048;
    default_type application/octet-stream;
    access_log access.log;
    gzip on;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    include conf.d/*.conf;
    include sites-enabled/*;
}
"""

_SITE_BELOW_A_PATH = """
server {
    listen 443 ssl http2;
    server_name forge.example.org;
    ssl_certificate /etc/letsencrypt/live/forge.example.org/fullchain.pem;
    ssl_certificate_key /etc/letsencrypt/live/forge.example.org/privkey.pem;
    location / { return 404; }
    include snippets/forge-widgets-subpath.conf;
}
"""


class Certificate:
    """A self-signed certificate for the loopback, as openssl makes it."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "certificate.pem"
        self.key = folder / "key.pem"
        names = "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:forge.example.org"
        command = [
            program("openssl"),
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=forge",
        ]
        files = ["-keyout", os.fspath(self.key), "-out", os.fspath(self.certificate)]
        subprocess.run([*command, "-addext", names, *files], check=True, capture_output=True, timeout=60)
        self.key.chmod(0o644)  # of nobody else's worth, and nginx runs as another user here


def free_ports(number: int) -> list[int]:
    """Return ports that nobody listens on, each another."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports: list[int] = [listening.getsockname()[1] for listening in held]
    for listening in held:
        listening.close()
    return ports


class Nginx:
    """One nginx; made by ``nginx`` below."""

    def __init__(
        self, folder: Path, certificate: Certificate, servers: Sequence[int], below: str, changed: Mapping[str, str]
    ) -> None:
        self.port, self.plain_port, self.bare_port = free_ports(3)
        self.url = f"https://127.0.0.1:{self.port}" + ("/forge" if below else "")
        # The same site without TLS, for Python's WebSocket client: it reads in one thread and writes in another, which
        # Python's TLS up to 3.12 bears badly (6 of 1,430 connections never came about, of 3,499 without TLS none).
        self.bare_url = f"http://127.0.0.1:{self.bare_port}"
        self._folder = folder
        self._certificate = certificate
        self._servers = servers
        # What a test puts in the place of something in the files.
        self._changed = changed
        # Those that were found.
        self._found: set[str] = set()
        for name in ("conf.d", "snippets", "sites-enabled"):
            (folder / name).mkdir()
        (folder / "nginx.conf").write_text(_MAIN)
        self._install("upstream.conf", "conf.d/forge-widgets-upstream.conf")
        self._install("proxy.conf", "snippets/forge-widgets-proxy.conf")
        if below:
            self._install(below, "snippets/forge-widgets-subpath.conf")
            (folder / "sites-enabled/site").write_text(self._placed(_SITE_BELOW_A_PATH))
        else:
            self._install("site.conf", "sites-enabled/forge-widgets")
        assert self._found == set(changed), f"nothing in docs/deploy/nginx says {set(changed) - self._found}"
        user = ordinary_user()
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)
        self._command = [*as_user(user), program("nginx"), "-p", f"{folder}/", "-c", "nginx.conf", "-e", "error.log"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it listens."""
        self._process = subprocess.Popen(self._command, env=bare_environment(), stdin=subprocess.DEVNULL)
        until(self._listens, f"nginx ({self.errors()})")

    def reload(self) -> None:
        """Let it read its files again, as `systemctl reload nginx` does: new workers take over, old ones end."""
        assert self._process is not None
        before = self._workers()
        self._process.send_signal(signal.SIGHUP)
        until(lambda: self._workers() - before, f"new workers ({self.errors()})")

    def stop(self) -> None:
        """End it at once, and with it every connection."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)

    def upstreams(self, path: str) -> list[str]:
        """Name the servers that were asked for a path, in order, as the access log does."""
        lines = [line for line in self.accesses().splitlines() if f" {path} " in line]
        return [line.rsplit(" ", 1)[1] for line in lines]

    def accesses(self) -> str:
        """Return the access logs, nginx's own as well."""
        return "".join(path.read_text() for path in self._folder.glob("*access.log"))

    def errors(self) -> str:
        """Return the end of the error log."""
        path = self._folder / "error.log"
        return path.read_text()[-2_000:] if path.exists() else "no log"

    def _install(self, name: str, place: str) -> None:
        (self._folder / place).write_text(self._placed((FILES / name).read_text()))

    def _placed(self, text: str) -> str:
        """Put our addresses, ports and paths into a file of docs/deploy."""
        for old, new in self._changed.items():
            if old in text:
                self._found.add(old)
                text = text.replace(old, new)
        live = "/etc/letsencrypt/live/forge.example.org"
        text = text.replace(f"{live}/fullchain.pem", str(self._certificate.certificate))
        text = text.replace(f"{live}/privkey.pem", str(self._certificate.key))
        text = text.replace("/var/log/nginx/forge-widgets.log", "forge-widgets-access.log")
        text = re.sub(r"(?m)^ *listen \[::\].*\n", "", text)
        bare = f"listen 127.0.0.1:{self.bare_port}; "
        text = text.replace("listen 443 ", f"{bare}listen 127.0.0.1:{self.port} ")
        text = text.replace("listen 80;", f"listen 127.0.0.1:{self.plain_port};")
        line = re.search(r"(?m)^ *server 127\.0\.0\.1:8001.*\n", text)
        if line is not None:
            text = text.replace(line[0], "".join(line[0].replace("8001", str(port)) for port in self._servers))
        return text

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"nginx has ended: {self.errors()}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _workers(self) -> set[int]:
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        return {int(child) for child in children.split()}


@contextmanager
def nginx(
    certificate: Certificate, *servers: int, below: str = "", changed: Mapping[str, str] | None = None
) -> Iterator[Nginx]:
    """Run an nginx before servers of these ports.

    ``below`` is the file for a sub-path (the site itself answers 404); ``changed`` what a test puts in the place of something.
    """
    with folder_of(ordinary_user()) as folder:
        made = Nginx(folder, certificate, servers, below, changed or {})
        made.start()
        try:
            yield made
        finally:
            made.stop()
