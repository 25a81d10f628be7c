"""`pws serve` as an operator guards it: refusing to start, keys, two listeners, a key that is revoked."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.e2e.processes import PATIENCE, PWS, Answer, Site, eventually
from tests.e2e.simulated import EVERYTHING, NOTHING, SECRET, Server, Service, configure
from tests.support.ports import free_port

GOOD = f"/pws/{SECRET}?id=1&eventType=PRESENCE_NOTIFICATION"


def ask(site: Site, target: str, key: str = "", method: str = "GET") -> Answer:
    """With a key, where there is one."""
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE)
    try:
        connection.request(method, target, headers={"Authorization": f"Bearer {key}"} if key else {})
        reply = connection.getresponse()
        return Answer(reply.status, reply.read())
    finally:
        connection.close()


def new_key(*words: str) -> tuple[str, str]:
    """What `pws key new` makes: the key and its section."""
    made = subprocess.run([PWS, "key", "new", "--json", *words], capture_output=True, check=True, timeout=PATIENCE)
    document = json.loads(made.stdout)
    return document["key"], document["section"]


def test_without_a_key_it_does_not_listen_to_everybody(tmp_path: Path) -> None:
    """Exit code 2, and the three ways out."""
    site = configure(tmp_path, free_port(), http=f'host = "0.0.0.0"\nport = {free_port()}')
    with Service(tmp_path, site) as service:
        assert service.ended() == 2
        said = service.output
    for word in (
        "http.host is 0.0.0.0",
        "pws key new",
        "callback.listen_host",
        "access.anonymous_from_anywhere = true",
    ):
        assert word in said


def test_other_commands_do_not_care(server: Server, tmp_path: Path) -> None:
    configure(tmp_path, server.port, http='host = "0.0.0.0"', access="anonymous_from_anywhere = true")
    words = [PWS, "poll", "ann@example.com"]
    found = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=PATIENCE, check=False)
    assert found.returncode == 0
    assert b"anonymous" not in found.stderr


def test_keys_and_two_listeners_in_one_service(server: Server, tmp_path: Path) -> None:
    """Notifications come in on their own port; the API takes a key; a key that is removed is out at SIGHUP."""
    apart = Site(free_port())
    wall, wall_section = new_key("--name", "wall", "--group", "support")
    root, root_section = new_key("--name", "root", "--scope", "read", "--scope", "admin")
    site = configure(
        tmp_path,
        server.port,
        callback=f'url = "{apart.url}"\nsecret_file = "callback-secret"\nlisten_port = {apart.port}\n'
        'allow_from = ["127.0.0.0/8"]',
    )
    config = tmp_path / "pws.toml"
    bare = config.read_text("utf-8")
    config.write_text(f"{bare}\n{wall_section}\n{root_section}", "utf-8")
    with Service(tmp_path, site, "--log-level", "debug") as service:
        eventually(lambda: _ready(site))
        assert ask(site, "/v1/status").status == 401
        assert ask(site, "/v1/status", wall[:-1] + ("A" if wall[-1] != "A" else "B")).status == 401
        assert ask(site, "/v1/presence/ann@example.com", wall).status == 200
        assert ask(site, "/v1/presence/rita@example.com", wall).status == 404
        assert ask(site, "/v1/refresh", wall, "POST").status == 403
        assert ask(site, "/v1/refresh", root, "POST").status == 200

        assert ask(apart, "/v1/status", root).status == 404
        assert ask(apart, "/").status == 404
        assert ask(site, GOOD).status == 404
        server.put("ann@example.com", state="DND", activities=[])
        eventually(lambda: _sees(site, wall, "DND"))
        assert ask(site, "/v1/status", root).json["notifications"]["received"] >= 1
        assert server.holds() == EVERYTHING

        config.write_text(f"{bare}\n{root_section}", "utf-8")
        service.signal(signal.SIGHUP)
        eventually(lambda: _is_out(site, wall))
        assert ask(site, "/v1/status", root).status == 200

        config.write_text(bare, "utf-8")
        service.signal(signal.SIGHUP)
        eventually(lambda: _is_out(site, root))
        assert ask(site, "/v1/status").status == 401, "on loopback, and without a key: what was closed stays closed"
        assert service.stop() == 0
        said = service.output
    assert server.holds() == NOTHING
    assert f"Listening for notifications alone on {apart.url}" in said
    assert ", 1 key\n" in said
    assert "the last API key was removed" in said
    for secret in (wall, root, SECRET):
        assert secret not in said


def _ready(site: Site) -> None:
    assert ask(site, "/readyz").status == 200


def _sees(site: Site, key: str, state: str) -> None:
    assert ask(site, "/v1/presence/ann@example.com", key).json["state"] == state


def _is_out(site: Site, key: str) -> None:
    assert ask(site, "/v1/presence", key).status == 401


@pytest.mark.parametrize("which", ["http", "callback"])
def test_a_port_in_use_is_told_with_the_right_key(tmp_path: Path, which: str) -> None:

    with socket.create_server(("127.0.0.1", 0)) as taken:
        used, free = taken.getsockname()[1], free_port()
        site = configure(
            tmp_path,
            free_port(),
            http=f"port = {used if which == 'http' else free}",
            callback=f'url = "http://127.0.0.1:8080"\nlisten_port = {free if which == "http" else used}',
        )
        with Service(tmp_path, site) as service:
            assert service.ended() == 1
            keys = "http.host, http.port" if which == "http" else "callback.listen_host, callback.listen_port"
            assert f"cannot listen on 127.0.0.1:{used} ({keys}): it is in use" in service.output


@pytest.mark.long(ci=True)
def test_what_migrate_writes_starts(server: Server, tmp_path: Path) -> None:
    """The scripts' files lead to a service that runs, with nothing set by hand but where the test's server is."""
    callback = Site(free_port())
    files = {
        "serverparams.json": {"params": [{"SERVER": f"127.0.0.1:{server.port}", "HOST": f"127.0.0.1:{callback.port}"}]},
        "appuser.json": {"params": [{"USERNAME": "pwsapp", "PASSWD": "secret"}]},
        "enduser.json": {"params": [{"USERNAME": "dispatcher"}]},
        "contacts.list": ["ann"],
    }
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name, content in files.items():
        (scripts / name).write_text(json.dumps(content), "utf-8")
    words = [PWS, "migrate", "scripts", "--domain", "example.com"]
    made = subprocess.run(words, cwd=tmp_path, capture_output=True, check=True, timeout=PATIENCE)
    assert f"for notifications on 0.0.0.0 port {callback.port}, and for its API on 127.0.0.1 port 8080 only" in (
        made.stderr.decode()
    )
    site = Site(free_port())
    path = tmp_path / "pws.toml"
    text = path.read_text("utf-8").replace("[application]", "tls = false\n[application]")
    # Not on all addresses, and not on a fixed port, where tests run.
    text = text.replace('"0.0.0.0"', '"127.0.0.1"').replace("port = 8080\n", f"port = {site.port}\n")
    path.write_text(text, "utf-8")
    with Service(tmp_path, site) as service:
        eventually(lambda: _ready(site))
        server.put("ann@example.com", state="AWAY", activities=[])
        eventually(lambda: _sees(site, "", "AWAY"))
        assert service.stop() == 0
    assert server.holds() == NOTHING
