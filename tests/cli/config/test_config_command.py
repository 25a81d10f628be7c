"""`pws config`: what is wrong and where, what is in force and from where, the schema, and a file to start from."""

from __future__ import annotations

import errno
import json
import os
import socket
import ssl
import stat
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import trustme

from service.cli.command_line import run
from service.cli.config import check
from service.cli.shared.findings import Finding
from service.config import example_toml, load, schema
from tests.support.configuration import BASE

PWS = str(Path(sys.executable).with_name("pws"))
TAPLO = str(Path(sys.executable).with_name("taplo"))


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it printed where."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # JSON is of any type
        return json.loads(self.out)


Pws = Callable[..., Result]


@pytest.fixture
def pws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pws:
    """The command line in an empty directory and without our variables; it never prints a secret."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PWS_")]:
        monkeypatch.delenv(name)

    def pws(*words: str) -> Result:
        code = run(list(words))
        out, err = capsys.readouterr()
        assert "hunter2" not in out + err
        return Result(code, out, err)

    return pws


def write(text: str, name: str = "pws.toml") -> Path:
    path = Path(name)
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    return path


def good() -> Path:
    """A configuration without a warning, with a listener of its own on a free port."""
    write("hunter2\n", "password")
    return write(BASE.replace('password = "hunter2"', 'password_file = "password"') + "[http]\nport = 0\n")


# check


def test_a_good_configuration_is_all_well(pws: Pws) -> None:
    good()
    result = pws("config", "check")
    assert (result.code, result.err) == (0, "All is well.\n")
    lines = result.out.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["ok", "configuration:"],
        ["ok", "authority:"],
        ["ok", "wsdl:"],
        ["ok", "state"],
        ["ok", "access:"],
        ["ok", "listener:"],
    ]
    assert "pws.toml: 2 nodes, 1 end user, 1 contact, 0 groups" in lines[0]


def test_every_mistake_has_its_file_and_line(pws: Pws) -> None:
    write("joe\n\na b\n", "people")
    write(
        "[server]\n"  # 1
        'nodes = ["imp1.example.com", "a b"]\n'
        "tls = 3\n"
        "[application]\n"  # 4
        'password = "hunter2"\n'
        "[http]\n"
        "port = -1\n"
        "colour = 1\n"  # 8
        "[[watch]]\n"
        'end_user = "one"\n'
        'contacts_file = "people"\n'
        "[[watch]]\n"  # 12
        'end_user = "two words"\n'
        "[groups.support]\n"
        'pick = "any"\n',
    )
    result = pws("config", "check")
    assert result.code == 2
    assert result.err == "10 problems\n"
    places = {
        line.split(": ")[1]: line.partition(" (")[2].partition(")")[0]
        for line in result.out.splitlines()
        if line.startswith("problem  configuration: ")
    }
    assert places == {
        "server.nodes[1]": "pws.toml:2",
        "server.tls": "pws.toml:3",
        "application.username": "pws.toml:4",
        "callback.url": "pws.toml",
        "http.port": "pws.toml:7",
        "http.colour": "pws.toml:8",
        "watch[0].contacts_file line 1": f"{Path.cwd() / 'people'}:1",
        "watch[0].contacts_file line 3": f"{Path.cwd() / 'people'}:3",
        "watch[1].end_user": "pws.toml:13",
        "groups.support.pick": "pws.toml:15",
    }


def test_a_mistake_of_the_environment_has_the_variable(pws: Pws, monkeypatch: pytest.MonkeyPatch) -> None:
    good()
    monkeypatch.setenv("PWS_HTTP__PORT", "many")
    result = pws("config", "check", "--json")
    assert result.code == 2
    (finding,) = result.document["checks"]
    assert finding["what"].endswith("found 'many' (environment variable PWS_HTTP__PORT)")
    assert (result.document["problems"], result.document["warnings"], result.document["complete"]) == (1, 0, True)


def test_text_that_is_not_toml_has_its_line(pws: Pws) -> None:
    write("[server]\nnodes = [\n")
    result = pws("config", "check")
    assert result.code == 2
    assert "expected a TOML file, found a mistake: " in result.out


def test_a_warning_has_a_line_too(pws: Pws) -> None:
    write(BASE.replace("[server]", "[server]\ntls = false") + "[http]\nport = 0\n")
    result = pws("config", "check")
    assert result.code == 0
    assert result.err == "2 warnings\n"
    assert "server.tls is false: the application user's password travels in the clear (pws.toml:3)" in result.out
    assert "application.password is in clear text in pws.toml (pws.toml:7); password_file names" in result.out


def test_files_that_are_missing_or_wrong_are_problems(pws: Pws, tmp_path: Path) -> None:
    write("not a certificate", "cup.pem")
    write("<nothing/>", "x.wsdl")
    write(good().read_text().replace("[server]", '[server]\nca_file = "cup.pem"\nwsdl = "x.wsdl"'))
    result = pws("config", "check")
    assert result.code == 2
    assert f"authority: server.ca_file {tmp_path / 'cup.pem'} is not a file with certificates in PEM" in result.out
    assert "problem  wsdl: " in result.out
    write(
        BASE.replace("[server]", '[server]\nca_file = "none.pem"').replace(
            'password = "hunter2"', 'password_file = "x"'
        )
    )
    result = pws("config", "check")
    assert result.code == 2
    assert "server.ca_file: expected a file, found no file at" in result.out
    assert "application.password_file: expected a file with the password" in result.out


def test_authorities_are_counted_and_must_not_have_expired(pws: Pws, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "cup.pem")
    write(good().read_text().replace("[server]", '[server]\nca_file = "cup.pem"'))
    assert "ok       authority: " in pws("config", "check").out
    certificate = ssl.create_default_context(cafile="cup.pem").get_ca_certs()[0]
    findings: list[Finding] = []
    later = datetime(3500, 1, 1, tzinfo=UTC).timestamp()
    check.look(Path("pws.toml"), findings.append, now=lambda: later)
    told = [finding.what for finding in findings if finding.level == "warning"]
    (warning,) = told
    assert warning.startswith(f"{tmp_path / 'cup.pem'}: the certificate of trustme")
    assert warning.endswith(f"expired on {certificate['notAfter']}")


@pytest.mark.parametrize(
    ("tls", "told"),
    [
        (f'fingerprint = "{"ab" * 32}"\n', ["ok       authority: the one certificate that server.fingerprint names"]),
        ("tls = false\n", []),
    ],
)
def test_what_is_trusted_is_told(pws: Pws, tls: str, told: list[str]) -> None:
    text = good().read_text().replace(', "imp2.example.com:9083"', "")
    write(text.replace("[server]\n", f"[server]\n{tls}"))
    result = pws("config", "check")
    assert result.code == 0
    lines = [line for line in result.out.splitlines() if " authority: " in line]
    assert len(lines) == len(told)
    assert all(line.startswith(begin) for line, begin in zip(lines, told, strict=True))


def test_an_address_that_is_taken_is_a_warning_and_one_of_others_a_problem(pws: Pws) -> None:
    """A service that runs already has it, and may be checked all the same."""
    path = good()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        write(path.read_text().replace("port = 0", f"port = {port}"))
        result = pws("config", "check")
    assert result.code == 0
    assert f"warning  listener: 127.0.0.1:{port} is in use" in result.out
    write(path.read_text().replace("[callback]", '[callback]\nlisten_host = "192.0.2.1"\nlisten_port = 8080'))
    result = pws("config", "check")
    assert result.code == 2
    assert "problem  listener: cannot listen on 192.0.2.1:8080" in result.out
    assert "(callback.listen_host, callback.listen_port)" not in result.out.partition("problem")[0]


def test_an_address_that_is_not_allowed_is_a_problem(pws: Pws, monkeypatch: pytest.MonkeyPatch) -> None:
    good()

    def refuse(_host: str, _port: int) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(check, "_bind", refuse)
    assert "problem  listener: cannot listen on 127.0.0.1:0: Permission denied" in pws("config", "check").out


@pytest.mark.parametrize(
    ("file", "level", "told"),
    [
        ("audit.jsonl", "ok", "can be written"),
        ("gone/audit.jsonl", "warning", "there is no directory"),
        (".", "warning", "cannot be written by this user"),
    ],
)
def test_an_audit_that_could_not_be_kept_is_a_warning(pws: Pws, file: str, level: str, told: str) -> None:
    """It would be noticed with the first entry only."""
    path = good()
    write(f'{path.read_text("utf-8")}[audit]\nfile = "{file}"\n')
    checks = pws("config", "check", "--json").document["checks"]
    assert [(one["level"], told in one["what"]) for one in checks if one["check"] == "audit"] == [(level, True)]


def test_an_audit_file_of_others_cannot_be_written(pws: Pws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the file that is there, nor a new one beside it."""
    path = good()
    write(f'{path.read_text("utf-8")}[audit]\nfile = "audit.jsonl"\n')
    before = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK and before(path, mode))
    for told in ("cannot be written to by this user", "audit.jsonl cannot be written by this user"):
        checks = pws("config", "check", "--json").document["checks"]
        assert [told in one["what"] for one in checks if one["check"] == "audit"] == [True]
        write("", "audit.jsonl")


def test_an_api_that_is_open_to_others_without_a_key_is_a_problem(pws: Pws) -> None:
    write(good().read_text().replace("port = 0", 'port = 0\nhost = "0.0.0.0"'))
    result = pws("config", "check")
    assert result.code == 2
    assert "problem  access: the API at 0.0.0.0:0 is open to other machines and has no key" in result.out


def test_without_a_file_it_says_how_to_get_one(pws: Pws) -> None:
    for name in ("check", "show"):
        result = pws("config", name)
        assert (result.code, result.out) == (2, "")
        assert "`pws config init` writes one to start from" in result.err


def test_nothing_is_started_or_left(pws: Pws, tmp_path: Path) -> None:
    good()
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    pws("config", "check")
    pws("config", "show")
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


# show


def test_show_names_the_place_of_each_value_and_no_secret(pws: Pws, monkeypatch: pytest.MonkeyPatch) -> None:
    write(BASE + f'[groups."a b"]\n[keys.board]\nhash = "sha256:{"0123456789abcdef" * 4}"\n')
    monkeypatch.setenv("PWS_HTTP__PORT", "9000")
    result = pws("config", "show")
    assert result.code == 0
    shown = {line.partition("  # ")[0].rstrip(): line.rpartition("  # ")[2] for line in result.out.splitlines()}
    assert shown['nodes = ["imp1.example.com", "imp2.example.com:9083"]'] == "pws.toml:3"
    assert shown["password = (hidden)"] == "pws.toml:6"
    assert shown["port = 9000"] == "PWS_HTTP__PORT"
    assert shown["read_timeout = 30"] == "default"
    assert shown["#ca_file ="] == "default"
    assert shown['file = "pws.state.json"'] == "default"
    assert shown["[[watch]]"] == "0"
    assert '[groups."a b"]' in shown
    assert shown['hash = "sha256:01234567..."'] == "pws.toml:14"
    assert result.err.startswith("Warning: application.password is in clear text")


def test_show_changed_leaves_the_defaults_out(pws: Pws) -> None:
    good()
    out = pws("config", "show", "--changed").out
    assert "default" not in out
    assert "[fetch]" not in out
    assert "port = 0" in out


def test_show_as_json_has_everything(pws: Pws) -> None:
    people = ", ".join(f'"user{number}@example.com"' for number in range(9))
    write(BASE.replace('["joe@example.com"]', f"[{people}]") + f'[keys.board]\nhash = "sha256:{"ab" * 32}"\n')
    document = pws("config", "show", "--json").document
    found = {setting["key"]: setting for setting in document["settings"]}
    assert document["file"] == "pws.toml"
    assert document["warnings"][0].startswith("application.password is in clear text")
    assert found["application.password"] == {
        "key": "application.password", "value": None, "hidden": True, "source": "file", "place": "pws.toml:6",
    }  # fmt: skip
    assert len(found["watch[0].contacts"]["value"]) == 9
    assert found["http.port"] == {
        "key": "http.port", "value": 8080, "hidden": False, "source": "default", "place": None,
    }  # fmt: skip
    assert found["keys.board.hash"]["value"] == "sha256:abababab..."
    assert found["callback.allow_from"]["value"] == []
    assert '"user3@example.com", ... 9 in all]' in pws("config", "show").out


def test_show_of_a_wrong_configuration_lists_what_is_wrong(pws: Pws) -> None:
    write("[server]\ntls = 3\n")
    result = pws("config", "show")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("Error: the configuration has")


# schema and init


def test_schema_prints_the_schema(pws: Pws) -> None:
    assert pws("config", "schema").document == schema()


def test_init_writes_a_file_that_loads_and_its_schema(pws: Pws, tmp_path: Path) -> None:
    result = pws("config", "init")
    assert (result.code, result.out) == (0, "")
    assert "Wrote pws.toml and pws.schema.json" in result.err
    path = tmp_path / "pws.toml"
    assert path.read_text("utf-8") == example_toml("./pws.schema.json")
    assert path.read_text("utf-8").startswith("#:schema ./pws.schema.json\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    described = json.loads((tmp_path / "pws.schema.json").read_text("utf-8"))
    jsonschema_rs.Draft202012Validator(described).validate(tomllib.loads(path.read_text("utf-8")))
    assert load(path, {}).http.port == 8080
    assert pws("config", "check").code == 0


def test_init_replaces_nothing_unless_told(pws: Pws, tmp_path: Path) -> None:
    write("mine")
    result = pws("config", "init")
    assert result.code == 2
    assert "pws.toml exists already; --force replaces it" in result.err
    assert Path("pws.toml").read_text() == "mine"
    assert not Path("pws.schema.json").exists()
    assert pws("config", "init", "--force").code == 0
    assert pws("config", "init").code == 0, "what it would write is there"
    write("mine", "pws.schema.json")
    assert "pws.schema.json exists already" in pws("config", "init").err


def test_init_to_another_place(pws: Pws, tmp_path: Path) -> None:
    assert pws("config", "init", "--config", "mine.toml", "--no-schema").code == 0
    assert not Path("mine.schema.json").exists()
    assert not Path("mine.toml").read_text().startswith("#:schema")
    assert pws("config", "init", "named.toml", "--config", "mine.toml").code == 0
    assert Path("named.toml").read_text().startswith("#:schema ./named.schema.json\n")
    result = pws("config", "init", "nowhere/pws.toml")
    assert result.code == 2
    assert "cannot write nowhere/pws.toml: No such file or directory" in result.err
    assert pws("config", "init", "").code == 2
    assert pws("config", "init", ".").code == 2
    Path("folder").mkdir()
    assert "cannot write folder: Is a directory" in pws("config", "init", "folder", "--force").err


def test_init_to_standard_output(pws: Pws, tmp_path: Path) -> None:
    result = pws("config", "init", "-")
    assert (result.code, result.out, result.err) == (0, example_toml(), "")
    assert list(tmp_path.iterdir()) == []


def test_editors_find_the_schema_by_the_first_line(pws: Pws) -> None:
    """taplo is what Even Better TOML runs."""
    assert pws("config", "init").code == 0

    def linted() -> subprocess.CompletedProcess[str]:
        return subprocess.run([TAPLO, "check", "pws.toml"], capture_output=True, text=True, check=False)

    assert linted().returncode == 0, linted().stderr
    write(example_toml("./pws.schema.json").replace("#port = 8080", "port = 99999").replace("#tls = true", "tls = 3"))
    done = linted()
    assert done.returncode == 1
    assert "99999 is greater than the maximum of 65535" in done.stderr
    assert '3 is not of type "boolean"' in done.stderr


@pytest.mark.parametrize("name", ["check", "show", "schema", "init"])
def test_the_help_of_each_command_teaches(pws: Pws, name: str) -> None:
    text = pws("config", name, "--help").out
    assert f"pws config {name}" in text.partition("Example:")[2]
    assert len(text.split()) > 50


def test_as_an_operator_begins(tmp_path: Path) -> None:
    """Real processes: init, check, show; a mistake; exit codes."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PWS_")}
    environ["PWS_HTTP__PORT"] = "0"

    def pws(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PWS, "config", *words], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )

    assert pws("check").returncode == 2
    assert pws("init").returncode == 0
    assert pws("check").returncode == 0
    assert "# PWS_HTTP__PORT" in pws("show").stdout
    path = tmp_path / "pws.toml"
    path.write_text(path.read_text().replace('#soap = "1.1"', 'soap = "3"'))
    done = pws("check")
    line = path.read_text().splitlines().index('soap = "3"') + 1
    assert done.returncode == 2
    assert f'server.soap: expected "1.1" or "1.2", found \'3\' (pws.toml:{line})' in done.stdout


def test_targets_of_webhooks_are_checked_and_shown_without_their_secrets(pws: Pws, tmp_path: Path) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    (tmp_path / "crm.pem").write_text("no certificate")
    block = f'[[webhooks]]\nname = "crm"\nurl = "https://h/x?sig=k3y"\nsecret = "{secret}"\nca_file = "crm.pem"\n'
    (tmp_path / "pws.toml").write_text(BASE + block)
    checked = pws("config", "check")
    assert checked.code == 2
    assert ", 1 contact, 0 groups, 1 webhook" in checked.out
    assert "webhook crm: ca_file" in checked.out
    assert "set it to what signed the target's certificate" in checked.out
    assert "webhooks[0].secret is in clear text in pws.toml" in checked.out
    shown = pws("config", "show", "--changed")
    assert 'url = "https://h/x?(hidden)"' in shown.out
    assert "secret = (hidden)" in shown.out
    listed = {setting["key"]: setting for setting in pws("config", "show", "--json").document["settings"]}
    assert (listed["webhooks[0].secret"]["value"], listed["webhooks[0].secret"]["hidden"]) == (None, True)
    assert not [text for text in (shown.out, checked.out, json.dumps(listed)) if "k3y" in text or secret in text]
