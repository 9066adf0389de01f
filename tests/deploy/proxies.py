"""nginx and HAProxy as child processes: the files of `deploy/`, nothing changed in them but names of this machine."""

from __future__ import annotations

import getpass
import re
import shutil
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

import gevent
from gevent.event import Event
from gevent.server import StreamServer

from tests.owned import OwnedProcess, program
from tests.processes import ServerProcess

DEPLOY = Path(__file__).parents[2] / "deploy"


class Cable:
    """What lies between a proxy and its server, and can be cut: bytes stay where they are, as on a dead network."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = ("127.0.0.1", int(server.env["PORT"]))
        self._whole = Event()
        self._whole.set()
        self._ends: list[socket.socket] = []
        self._listener = StreamServer(("127.0.0.1", 0), self._connect)
        self._listener.start()
        self.address = f"http://127.0.0.1:{self._listener.server_port}"

    def cut(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._whole.clear()

    def mend(self) -> None:
        """New connections pass; the old ones are found dead."""
        dead, self._ends = self._ends, []
        for end in dead:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._whole.set()

    def close(self) -> None:
        self.mend()
        self._listener.stop()

    def _connect(self, near: socket.socket, _: object) -> None:
        with socket.create_connection(self._server) as far:
            self._ends += [near, far]
            gevent.joinall([gevent.spawn(self._carry, near, far), gevent.spawn(self._carry, far, near)])

    def _carry(self, source: socket.socket, goal: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                self._whole.wait()
                goal.sendall(data)
            goal.shutdown(socket.SHUT_WR)


class Proxy(OwnedProcess):
    """A proxy in front of a server of this machine."""

    scheme = "http"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.upstreams: list[str] = []

    def before(self, *servers: ServerProcess | Cable) -> Self:
        """Pass on to these, whose `ALLOWED_ORIGINS` must have `address`, or pages could not connect."""
        self.upstreams = [server.address.removeprefix("http://") for server in servers]
        return self

    @property
    def address(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


class Nginx(Proxy):
    """With `http.conf`."""

    def command(self) -> Sequence[str]:
        return [program("nginx", "nginx"), "-c", str(self._configured()), "-g", "daemon off;"]

    def _configured(self) -> Path:
        copy = self.folder / "nginx"
        shutil.copytree(DEPLOY / "nginx", copy, dirs_exist_ok=True)
        line = "server 127.0.0.1:5000 max_fails=2 fail_timeout=5s;\n"
        lines = "".join(line.replace("127.0.0.1:5000", upstream) for upstream in self.upstreams)
        _replace(copy / "upstream.conf", line, lines)
        _replace(copy / "http.conf", "listen 80;", f"listen 127.0.0.1:{self.port};")
        _replace(copy / "nginx.conf", "user www-data;", f"user {getpass.getuser()};")
        _replace(copy / "nginx.conf", "pid /run/nginx-parley.pid;", f"pid {self.folder}/pid;")
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"    {kind}_temp_path {self.folder}/{kind};\n" for kind in kinds)
        _replace(copy / "nginx.conf", "http {\n", f"http {{\n{paths}")
        return copy / "nginx.conf"


class NginxWithTLS(Nginx):
    """With `https.conf`, and a certificate in `folder`."""

    scheme = "https"

    def _configured(self) -> Path:
        main = super()._configured()
        site = main.with_name("https.conf")
        _replace(main, "include http.conf;", "include https.conf;")
        _replace(site, "listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;")
        _replace(site, "listen 80;", f"listen unix:{self.folder}/plain.sock;")
        _replace(site, "/etc/ssl/parley/", f"{self.folder}/")
        return main


class HAProxy(Proxy):
    """Its file reads two addresses from the environment."""

    def command(self) -> Sequence[str]:
        first, *others = self.upstreams
        copy = Path(shutil.copy(DEPLOY / "haproxy" / "haproxy.cfg", self.folder))
        lines = "\n".join(f"    server other{number} {upstream}" for number, upstream in enumerate(others))
        _replace(copy, "    # server second 10.0.0.12:5000", lines)
        listen, server = f"PARLEY_LISTEN=127.0.0.1:{self.port}", f"PARLEY_SERVER={first}"
        return ["env", listen, server, program("haproxy", "haproxy"), "-f", str(copy)]


def _replace(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert re.search(re.escape(old), text), f"{file.name} has no {old!r}"
    file.write_text(text.replace(old, new), "utf-8")
