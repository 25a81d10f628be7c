"""The sample scripts' files become a configuration, and what was insecure in them is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.cli.migrate.findings import PASSWORD_FILE
from service.cli.migrate.sample_scripts import ScriptsError, read
from service.config import ConfigError, load
from tests.support.sample_scripts import END_USER, SERVER, samples


def test_the_files_become_a_configuration_that_loads(tmp_path: Path) -> None:
    proposal = read(samples(tmp_path))
    (tmp_path / "pws.toml").write_text(proposal.text, "utf-8")
    password = tmp_path / PASSWORD_FILE
    password.write_text(proposal.password.reveal(), "utf-8")
    password.chmod(0o600)
    config = load(tmp_path / "pws.toml", {})
    assert config.server.urls() == ("https://cup.example.com:8083",)
    assert config.application.username == "app"
    assert config.application.password.reveal() == 'hun"ter2'
    assert config.callback.url == "http://10.1.1.1:8080"
    assert (config.http.host, config.http.port) == ("127.0.0.1", 8081)
    assert config.callback.listener(config.http) == ("0.0.0.0", 8080)
    assert config.watch[0].end_user == "dispatcher"
    assert config.watch[0].contacts == tuple(f"{name}@cup.example.com" for name in ("joe", "rita", "carlotta"))
    assert config.warnings == ()


def test_the_password_is_in_neither_text_nor_findings(tmp_path: Path) -> None:
    proposal = read(samples(tmp_path))
    assert "hun" not in proposal.text + repr(proposal) + str(proposal.findings)


def test_a_contact_of_the_end_user_joins_the_list_once(tmp_path: Path) -> None:
    proposal = read(
        samples(tmp_path, end_user={**END_USER, "CONTACT": "ann"}, contacts=["joe", "Ann", " "]), "d.example"
    )
    assert '    "joe",\n    "ann",\n]' in proposal.text
    assert 'domain = "d.example"' in proposal.text


def test_without_a_list_there_is_the_end_users_contact(tmp_path: Path) -> None:
    proposal = read(samples(tmp_path, end_user={**END_USER, "CONTACT": "ann"}, contacts=None))
    assert 'contacts = [\n    "ann",\n]' in proposal.text


@pytest.mark.parametrize(
    ("server", "url", "port"),
    [
        ({"HOST": "10.1.1.1:82"}, "http://10.1.1.1:82", 82),
        ({"HOST": "x", "ENDPOINTURL": "http://10.0.0.5:5000/pws/?x=1"}, "http://10.0.0.5:5000/pws", 5000),
        ({"ENDPOINTURL": "http://10.0.0.5:8080//my pws///"}, "http://10.0.0.5:8080/my%20pws", 8080),
        ({"ENDPOINTURL": "http://10.0.0.5:8080/my%20pws/x"}, "http://10.0.0.5:8080/my%20pws/x", 8080),
        ({"HOST": "10.1.1.1", "ENDPOINTURL": "10.0.0.5"}, "http://10.1.1.1:8080", 8080),
        ({"ENDPOINTURL": "https://pws.example.com"}, "https://pws.example.com", 443),
        ({"ENDPOINTURL": "http://10.0.0.5:port"}, "http://10.0.0.5:port", 8080),
        ({"HOST": "http://10.1.1.1:8080/"}, "http://10.1.1.1:8080", 8080),
        ({"HOST": "http://10.1.1.1"}, "http://10.1.1.1:8080", 8080),
        ({"HOST": "HTTP://10.1.1.1:82/"}, "http://10.1.1.1:82", 82),
        ({"HOST": "10.1.1.1/"}, "http://10.1.1.1:8080", 8080),
        ({"HOST": "//10.1.1.1//"}, "http://10.1.1.1:8080", 8080),
        ({"HOST": "10.1.1.1:8080/endpoint/"}, "http://10.1.1.1:8080/endpoint", 8080),
        ({"HOST": "10.1.1.1/endpoint.py"}, "http://10.1.1.1:8080/endpoint.py", 8080),
        ({"HOST": "https://pws.example.com:443"}, "https://pws.example.com:443", 443),
        ({"HOST": "2001:db8::5"}, "http://[2001:db8::5]:8080", 8080),
        ({"HOST": "[2001:db8::5]"}, "http://[2001:db8::5]:8080", 8080),
        ({"HOST": "http://[2001:db8::5]:82/x"}, "http://[2001:db8::5]:82/x", 82),
        ({"ENDPOINTURL": "http://10.0.0.5:8080/endpoint.py?id="}, "http://10.0.0.5:8080/endpoint.py", 8080),
        ({"ENDPOINTURL": "http://me:pw@10.0.0.5:8080/x#y"}, "http://10.0.0.5:8080/x", 8080),
        ({"ENDPOINTURL": "10.0.0.5:82/x"}, "http://10.0.0.5:82/x", 82),
        ({"HOST": "10.1.1.1", "ENDPOINTURL": "/endpoint"}, "http://10.1.1.1:8080", 8080),
        ({"HOST": "<host IP>", "ENDPOINTURL": "<url>"}, "http://127.0.0.1:8080", 8080),
    ],
)
def test_where_notifications_go_is_taken_from_what_there_is(
    tmp_path: Path, server: dict[str, str], url: str, port: int
) -> None:
    proposal = read(samples(tmp_path, server={"SERVER": "cup", **server}))
    assert f'url = "{url}"' in proposal.text
    assert f"port = {port}\n" in proposal.text
    assert any("guess" in finding.instead for finding in proposal.findings) == ("127.0.0.1" in url)


@pytest.mark.parametrize(
    ("server", "node", "domain"),
    [
        ("https://cup.example.com:8083/presence-service", "cup.example.com", "cup.example.com"),
        ("cup.example.com:8082", "cup.example.com", "cup.example.com"),
        ("cup.example.com:9000", "cup.example.com:9000", "cup.example.com"),
        ("[2001:db8::1]", "[2001:db8::1]", None),
    ],
)
def test_the_node_is_taken_from_what_people_write(tmp_path: Path, server: str, node: str, domain: str | None) -> None:
    text = read(samples(tmp_path, server={"SERVER": server, "HOST": "h"})).text
    assert f'nodes = ["{node}"]' in text
    assert domain is None or f'domain = "{domain}"' in text


def test_what_is_insecure_is_listed(tmp_path: Path) -> None:
    samples(tmp_path, server={**SERVER, "USERNAME": "administrator", "PASSWD": "hunter3"})
    (tmp_path / "enduser.json").chmod(0o644)
    (tmp_path / "pws-create.py").write_text(
        "import requests\n"
        "requests.post('https://' + SERVER + ':8083/presence-service/x', verify=False)\n"
        "requests.post('http://' + SERVER + ':8082/presence-service/x')\n",
        "utf-8",
    )
    (tmp_path / "endpoint.py").write_text("\nsubprocess.run('python3 x ' + id, shell=True)\n", "utf-8")
    (tmp_path / "broken.py").mkdir()
    found = [(finding.where, finding.what) for finding in read(tmp_path).findings]
    assert [where for where, _ in found] == [
        "appuser.json",
        "serverparams.json",
        "enduser.json",
        "endpoint.py, line 2",
        "pws-create.py, line 2",
        "pws-create.py, line 3",
        "the endpoint",
        "contacts.list",
    ]
    assert "shell" in dict(found)["endpoint.py, line 2"]
    assert "certificate" in dict(found)["pws-create.py, line 2"]
    assert "plain HTTP" in dict(found)["pws-create.py, line 3"]
    assert "hunter3" not in str(found)


def test_a_domain_that_is_given_needs_no_warning(tmp_path: Path) -> None:
    assert all(finding.where != "contacts.list" for finding in read(samples(tmp_path), "example.com").findings)


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    samples(tmp_path, server={"SERVER": "<your cimp server>"}, application={"USERNAME": None}, contacts={"joe": 1})
    (tmp_path / "enduser.json").unlink()
    with pytest.raises(ScriptsError) as caught:
        read(tmp_path)
    assert caught.value.problems == (
        "enduser.json: No such file or directory",
        "serverparams.json: expected SERVER, found a placeholder",
        "appuser.json: expected USERNAME, found nothing",
        "appuser.json: expected PASSWD, found nothing",
        'contacts.list: expected a JSON array of names, such as ["joe", "rita"]',
    )


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"params": [{"SERVER": "x"\n "HOST": "y"}]}', "broken JSON in line 2"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[]", 'expected {"params"'),
        (b'{"params": []}', 'expected {"params"'),
        (b'{"params": ["x"]}', 'expected {"params"'),
    ],
)
def test_a_broken_file_is_told_by_name(tmp_path: Path, content: bytes, told: str) -> None:
    samples(tmp_path)
    (tmp_path / "serverparams.json").write_bytes(content)
    with pytest.raises(ScriptsError, match=r"serverparams\.json") as caught:
        read(tmp_path)
    assert told in str(caught.value)


def test_a_broken_list_is_told(tmp_path: Path) -> None:
    samples(tmp_path)
    (tmp_path / "contacts.list").write_text('["joe"', "utf-8")
    with pytest.raises(ScriptsError, match=r"contacts\.list: broken JSON"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("server", "told"),
    [
        ({"HOST": "http://10.1.1.1:8080/"}, ""),
        ({"HOST": "10.1.1.1/endpoint"}, ""),
        ({"ENDPOINTURL": "http://10.0.0.5:8080/my/path/"}, ""),
        ({"ENDPOINTURL": "http://10.0.0.5:8080/x?id="}, "ENDPOINTURL has parts"),
        ({"ENDPOINTURL": "http://me:hunter2@10.0.0.5:8080/x"}, "ENDPOINTURL has parts"),
        ({"ENDPOINTURL": "http://10.0.0.5:8080/a%2Fb"}, "ENDPOINTURL has parts"),
        ({"ENDPOINTURL": "http://10.0.0.5:8080/a b"}, "ENDPOINTURL has parts"),
        ({"HOST": "ftp://10.1.1.1"}, "HOST has parts"),
        ({"HOST": "10.1.1.1", "ENDPOINTURL": "/endpoint"}, "ENDPOINTURL is no URL"),
        ({"ENDPOINTURL": "https://10.0.0.5/x"}, "ENDPOINTURL is https"),
    ],
)
def test_what_had_to_be_written_differently_is_told(tmp_path: Path, server: dict[str, str], told: str) -> None:
    """And where nothing had to be, nothing is said."""
    findings = read(samples(tmp_path, server={"SERVER": "cup", **server})).findings
    about = [finding.what for finding in findings if finding.what.startswith(("HOST", "ENDPOINTURL"))]
    assert [what[: len(told)] for what in about] == ([told] if told else [])
    assert "hunter2" not in str(findings)


def test_numbers_are_taken_as_they_are_written(tmp_path: Path) -> None:
    samples(tmp_path, end_user={"USERNAME": 4711, "CONTACT": 4713})
    (tmp_path / "appuser.json").write_text('{"params": [{"USERNAME": 1001, "PASSWD": 123456789012345678901.50}]}')
    (tmp_path / "contacts.list").write_text('["joe", 4712, 1e5, "4712"]')
    proposal = read(tmp_path)
    assert proposal.password.reveal() == "123456789012345678901.50"
    assert ("appuser.json", "the password is written as a number") in [(f.where, f.what) for f in proposal.findings]
    assert "12345678" not in str(proposal.findings)
    (tmp_path / "pws.toml").write_text(proposal.text, "utf-8")
    (tmp_path / PASSWORD_FILE).write_text(proposal.password.reveal(), "utf-8")
    config = load(tmp_path / "pws.toml", {})
    assert (config.application.username, config.watch[0].end_user) == ("1001", "4711")
    assert config.watch[0].contacts == tuple(f"{name}@cup.example.com" for name in ("joe", "4712", "1e5", "4713"))


@pytest.mark.parametrize(
    ("password", "found"),
    [
        ("null", "nothing"),
        ('""', "nothing"),
        ('"  "', "only spaces"),
        ("true", "true"),
        ("[1]", "a list"),
        ('{"a": 1}', "an object"),
        ('"<password>"', "a placeholder"),
    ],
)
def test_what_is_no_text_is_called_what_it_is(tmp_path: Path, password: str, found: str) -> None:
    samples(tmp_path)
    (tmp_path / "appuser.json").write_text(f'{{"params": [{{"USERNAME": "app", "PASSWD": {password}}}]}}')
    with pytest.raises(ScriptsError) as caught:
        read(tmp_path)
    assert caught.value.problems == (f"appuser.json: expected PASSWD, found {found}",)


@pytest.mark.parametrize("password", ["two\nlines", "end\n", "\tx"])
def test_a_password_that_no_file_of_one_line_can_hold_is_told(tmp_path: Path, password: str) -> None:
    """The last line end would be lost in silence."""
    samples(tmp_path, application={"USERNAME": "app", "PASSWD": password})
    with pytest.raises(ScriptsError, match="PASSWD on one line, found control characters"):
        read(tmp_path)


@pytest.mark.parametrize("where", ["PASSWD", "USERNAME"])
def test_half_a_character_is_told(tmp_path: Path, where: str) -> None:
    samples(tmp_path, application={"USERNAME": "app", "PASSWD": "x", where: "\ud800"})
    with pytest.raises(ScriptsError, match="half a character"):
        read(tmp_path)


def test_contacts_that_are_no_names_are_told_with_their_place(tmp_path: Path) -> None:
    samples(tmp_path, contacts=["joe", None, True, ["rita"], 5])
    with pytest.raises(ScriptsError) as caught:
        read(tmp_path)
    assert caught.value.problems == (
        "contacts.list: expected a name as entry 2, found nothing",
        "contacts.list: expected a name as entry 3, found true",
        "contacts.list: expected a name as entry 4, found a list",
    )


@pytest.mark.parametrize(
    "server", ["2001:db8::1", "[2001:db8::1]", "https://[2001:db8::1]:8083/x", "[2001:db8::1]:8082/"]
)
def test_an_ipv6_server_completes_no_names(tmp_path: Path, server: str) -> None:
    """Its address is no domain; with one that is given all is well."""
    samples(tmp_path, server={"SERVER": server, "HOST": "h"})
    assert 'nodes = ["[2001:db8::1]"]' in read(tmp_path).text
    assert '\n# domain = "example.com"' in read(tmp_path).text
    assert '\ndomain = "example.com"' in read(tmp_path, "example.com").text


@pytest.mark.parametrize("server", ["http://[::1", "a b", "me@cup", "", "[::1]x", "cup:99999", "https://"])
def test_a_server_that_is_none_is_no_bug(tmp_path: Path, server: str) -> None:
    samples(tmp_path, server={"SERVER": server, "HOST": server})
    try:
        proposal = read(tmp_path)
    except ScriptsError as error:
        assert "SERVER" in str(error)  # noqa: PT017  either is right
        return
    (tmp_path / "pws.toml").write_text(proposal.text, "utf-8")
    (tmp_path / PASSWORD_FILE).write_text("x", "utf-8")
    with pytest.raises(ConfigError, match=r"server\.nodes"):
        load(tmp_path / "pws.toml", {})
