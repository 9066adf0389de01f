"""Behind the nginx and the HAProxy of `deploy/` everything works as without them."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gevent
import pytest
import requests
import websocket

from tests.deploy.proxies import Cable, HAProxy, Nginx, NginxWithTLS, Proxy
from tests.node import node
from tests.owned import free_port, program, wait_until
from tests.processes import ROOT, ServerProcess
from tests.redis_server import redis_url  # noqa: F401
from tests.vendors import Vendors
from tests.viewers import Device

MODEL = "gpt-4o-mini"
LIMIT_S = 20
LONG = "Say 床前明月光 [[fault pieces=60 rate=20]]"
"""An answer that takes three seconds."""


@pytest.fixture(scope="module")
def vendors() -> Iterator[Vendors]:
    with Vendors({"openai"}) as vendors:
        yield vendors


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Proxy]:
    """Not started: the server is told first where they will be."""
    return {"nginx": Nginx(tmp_path_factory.mktemp("nginx")), "haproxy": HAProxy(tmp_path_factory.mktemp("haproxy"))}


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory,
    vendors: Vendors,
    proxies: dict[str, Proxy],
    redis_url: str,  # noqa: F811
) -> Iterator[ServerProcess]:
    """Two workers: what comes through a proxy reaches now one, now the other."""
    env = {
        "WORKERS": "2",
        "REDIS_URL": redis_url,
        "REDIS_PREFIX": "behind-proxies",
        "TRUSTED_PROXIES": "127.0.0.1",
        "ALLOWED_ORIGINS": ",".join(proxy.address for proxy in proxies.values()),
        "DEFAULT_MODEL": MODEL,
        "IDLE_TIMEOUT_S": "60",
        **vendors.env,
    }
    server = ServerProcess(tmp_path_factory.mktemp("server") / "data", **env).start()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["nginx", "haproxy"])
def proxy(request: pytest.FixtureRequest, server: ServerProcess, proxies: dict[str, Proxy]) -> Iterator[Proxy]:
    with proxies[request.param].before(server) as proxy:
        yield proxy


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_an_answer_comes_whole_to_stock_clients(proxy: Proxy, transport: str) -> None:
    """In Python and in Node, with nothing that ties a client to a server."""
    device = Device(proxy.address, transport=transport).connect()
    started = device.ask("c-1", "hi")
    device.seen(started["turn"]).whole()
    device.leave()

    command = [node(), "tests/journeys/follow.mjs", proxy.address, transport, "hi"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["verified"]


def test_a_client_that_begins_by_polling_gets_its_websocket(proxy: Proxy) -> None:
    """As stock clients do when nobody tells them otherwise."""
    script = """
        import { io } from "socket.io-client";
        const socket = io(process.argv[1] + "/text");
        socket.io.engine.on("upgrade", ({ name }) => {
            console.log(name);
            process.exit();
        });
    """
    command = [node(), "--input-type=module", "-e", script, proxy.address]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S)
    assert told.stdout.strip() == "websocket", told.stderr


def test_pieces_of_an_event_stream_are_not_held_back(proxy: Proxy) -> None:
    """The first pieces are there while the vendor says nothing more; a proxy that gathered them would give none."""
    with gevent.Timeout(LIMIT_S, AssertionError("The pieces were held back.")):
        device = Device(proxy.address).connect()
        turn = device.ask("c-sse", "Say 床前明月光 [[fault silent-after=3]]")["turn"]
        headers = {"Authorization": f"Bearer {device.token}", "Accept": "text/event-stream"}
        events = _events(
            requests.get(f"{proxy.address}/v1/turns/{turn}", headers=headers, stream=True, timeout=LIMIT_S)
        )
        assert next(data["text"] for name, data in events if name == "turn_delta")
        device.call("turn_stop", {"turn": turn})
        assert [name for name, _ in events][-1] == "turn_end"


def test_large_pictures_pass_and_larger_bodies_are_refused(proxy: Proxy) -> None:
    """A picture of 9 MB arrives; 40 MB is 413, whoever says it."""
    headers = {"Authorization": f"Bearer {Device(proxy.address).connect().token}", "Content-Type": "image/bmp"}
    side = 1732  # 3 bytes a pixel
    size = 54 + side * side * 3
    fields = b"".join((
        b"BM", size.to_bytes(4, "little"), bytes(4), (54).to_bytes(4, "little"),
        (40).to_bytes(4, "little"), side.to_bytes(4, "little") * 2, (1).to_bytes(2, "little"),
        (24).to_bytes(2, "little"), bytes(4), (size - 54).to_bytes(4, "little"), bytes(16),
    ))  # fmt: skip
    answer = requests.post(
        f"{proxy.address}/v1/pictures", headers=headers, data=fields + bytes(size - 54), timeout=LIMIT_S
    )
    assert (answer.status_code, answer.json().get("width")) == (201, side), answer.text
    refused = requests.post(f"{proxy.address}/v1/pictures", headers=headers, data=bytes(40_000_000), timeout=LIMIT_S)
    assert refused.status_code == 413


def test_the_server_sees_the_clients_address(proxy: Proxy, server: ServerProcess) -> None:
    """Of a client that claims to be another: the guest of its own address, as told by a proxy of the server's."""
    told = _guest(server.address, forwarded="127.0.0.7", log=server.log)
    assert _guest(proxy.address, source="127.0.0.7", forwarded="203.0.113.9", log=server.log) == told
    assert _guest(proxy.address, source="127.0.0.8", forwarded="127.0.0.7", log=server.log) != told


def test_metrics_are_nobodys_business_outside(proxy: Proxy) -> None:
    assert requests.get(f"{proxy.address}/metrics", timeout=LIMIT_S).status_code == 404
    assert requests.get(f"{proxy.address}/readyz", timeout=LIMIT_S).json()["ready"]


def test_all_workers_are_renewed_behind_a_proxy(proxy: Proxy, server: ServerProcess) -> None:
    """In mid-answer, for people who follow by WebSocket and by polling: each text is whole in the end."""
    followers = {
        transport: Device(proxy.address, transport=transport).connect() for transport in ("websocket", "polling")
    }
    turns = {name: device.ask(f"c-{name}", LONG)["turn"] for name, device in followers.items()}
    for name, device in followers.items():
        assert device.seen(turns[name]).moved.wait(LIMIT_S)
    gone = {name: device.gone() for name, device in followers.items()}
    server.renew()
    for name, device in followers.items():
        assert gone[name].wait(LIMIT_S)
        back = Device(proxy.address, token=device.token, transport=name)
        back.turns = device.turns
        back.connect().attach(turns[name])
        assert back.seen(turns[name]).whole()["status"] == "done"


def test_a_cut_between_proxy_and_server_loses_nothing(
    tmp_path: Path, proxy_kind: type[Proxy], vendors: Vendors
) -> None:
    """Nothing passes until the answer is long over, and then the connection is dead: who comes back reads on."""
    proxy = proxy_kind(tmp_path / "proxy")
    server = ServerProcess(tmp_path / "data", ALLOWED_ORIGINS="*", DEFAULT_MODEL=MODEL, **vendors.env).start()
    cable = Cable(server)
    with proxy.before(cable):
        device = Device(proxy.address).connect()
        turn = device.ask("c-1", LONG)["turn"]
        assert device.seen(turn).moved.wait(LIMIT_S)
        cable.cut()
        here = Device(server.address, token=device.token).connect()
        here.attach(turn)
        end = here.seen(turn).whole()
        assert not device.seen(turn).ended.is_set()
        gone = device.gone()
        cable.mend()
        assert gone.wait(LIMIT_S)
        back = Device(proxy.address, token=device.token)
        back.turns = device.turns
        back.connect().attach(turn)
        assert back.seen(turn).whole() == end
    cable.close()
    server.stop()


def test_several_machines_are_one_server(
    tmp_path: Path,
    proxy_kind: type[Proxy],
    vendors: Vendors,
    redis_url: str,  # noqa: F811
    migrated_mariadb_url: str,
) -> None:
    """Nothing brings a client back to the machine it had before, and it polls."""
    proxy = proxy_kind(tmp_path / "proxy")
    env = {"ALLOWED_ORIGINS": proxy.address, "DEFAULT_MODEL": MODEL, **vendors.env, "TRUSTED_PROXIES": "127.0.0.1"}
    env |= {"REDIS_URL": redis_url, "REDIS_PREFIX": tmp_path.name, "DATABASE_URL": migrated_mariadb_url}
    servers = [
        ServerProcess(tmp_path / name, **env, PORT=str(port), MACHINE_ADDRESS=f"127.0.0.1:{port}").start()
        for name, port in (("one", free_port()), ("other", free_port()))
    ]
    with proxy.before(*servers):
        for number in range(4):
            device = Device(proxy.address, transport="polling").connect()
            device.seen(device.ask(f"c-{number}", "hi")["turn"]).whole()
            device.leave()
    for server in servers:
        server.stop()


def test_a_server_that_comes_back_is_used_again(tmp_path: Path, proxy_kind: type[Proxy], vendors: Vendors) -> None:
    """While it is gone the proxy says so at once; then nothing is to be done, and people find their answers."""
    proxy = proxy_kind(tmp_path / "proxy")
    server = ServerProcess(tmp_path / "data", ALLOWED_ORIGINS=proxy.address, DEFAULT_MODEL=MODEL, **vendors.env).start()
    with proxy.before(server):
        device = Device(proxy.address).connect()
        gone, started = device.gone(), device.ask("c-1", "hi")
        device.seen(started["turn"]).whole()
        assert server.stop() == 0
        assert gone.wait(LIMIT_S)
        assert requests.get(f"{proxy.address}/readyz", timeout=LIMIT_S).status_code in (502, 503)
        server.start()
        wait_until(
            lambda: requests.get(f"{proxy.address}/readyz", timeout=LIMIT_S).ok, lambda: "It was not used again."
        )
        device = Device(proxy.address, token=device.token).connect()
        device.attach(started["turn"])
        assert device.seen(started["turn"]).whole()["status"] == "done"
        device.seen(device.ask("c-2", "hi")["turn"]).whole()
    server.stop()


def test_nginx_ends_tls(tmp_path: Path) -> None:
    """`https.conf`: a page's own origin counts, WebSockets come through, and cookies stay within TLS."""
    command = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=chat.example.com"]
    files = ["-keyout", str(tmp_path / "privkey.pem"), "-out", str(tmp_path / "fullchain.pem")]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([program("openssl", "openssl"), *command, *files, *names], check=True, capture_output=True)
    origin, trusted = "https://chat.example.com", str(tmp_path / "fullchain.pem")
    server = ServerProcess(tmp_path / "data", ALLOWED_ORIGINS=origin).start()
    with NginxWithTLS(tmp_path).before(server) as proxy:
        path = "/socket.io/?EIO=4&transport=websocket"
        line = websocket.create_connection(
            f"wss://127.0.0.1:{proxy.port}{path}", sslopt={"ca_certs": trusted}, origin=origin, timeout=LIMIT_S
        )
        assert str(line.recv()).startswith("0{")
        line.close()
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            websocket.create_connection(
                f"wss://127.0.0.1:{proxy.port}{path}", sslopt={"ca_certs": trusted}, origin="https://evil.example"
            )
        form = {"username": "ann", "password": "correct horse battery"}
        answer = requests.post(
            f"{proxy.address}/v1/auth/register", json=form, headers={"Origin": origin}, verify=trusted, timeout=LIMIT_S
        )
        assert answer.status_code == 201, answer.text
        assert "Secure" in answer.headers["Set-Cookie"]
        assert answer.headers["Strict-Transport-Security"]
    server.stop()


@pytest.fixture(params=[Nginx, HAProxy], ids=["nginx", "haproxy"])
def proxy_kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def _events(answer: requests.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Server-sent events as they come, byte by byte, so that nothing waits on our side."""
    name = ""
    for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def _guest(address: str, *, source: str = "127.0.0.1", forwarded: str, log: Path) -> str:
    """The user as whom the server logged a question from `source`."""
    where = urlsplit(address)
    connection = http.client.HTTPConnection(
        where.hostname or "", where.port, timeout=LIMIT_S, source_address=(source, 0)
    )
    headers = {"X-Forwarded-For": forwarded, "Content-Type": "application/json"}
    before = log.stat().st_size
    connection.request("POST", "/chat", json.dumps({"message": "hi"}), headers)
    assert connection.getresponse().read()
    connection.close()
    found: list[str] = []

    def logged() -> bool:
        lines = map(json.loads, log.read_bytes()[before:].splitlines())
        found.extend(line["user"] for line in lines if line.get("path") == "/chat" and "user" in line)
        return bool(found)

    wait_until(logged, lambda: f"Nothing was logged:\n{log.read_text()[-2000:]}")
    return found[0]
