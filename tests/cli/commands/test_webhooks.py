"""`pws webhooks test`: what is sent, what is printed, and that each obstacle is told with its cure and exit code."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import click
import pytest
from cryptography.x509 import DNSName, IPAddress

from service.cli.command_line import run
from service.cli.shared import completion
from tests.cli.configured import configure
from tests.cli.conftest import Result
from tests.support.hook_server import OTHER_SECRET, SECRET, HookAnswer, hook_server
from tests.support.ports import free_port
from tests.support.tls_servers import MadeCertificate, context

Try = Callable[..., Result]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def tried(tmp_path: Path, capsys: Capture) -> Try:
    """Runs `pws webhooks test crm` with a target at this address."""

    def tried(url: str, *words: str, lines: str = "", name: str = "crm", secret: str = SECRET) -> Result:
        path = configure(tmp_path)
        (tmp_path / "secret").write_text(secret)
        with path.open("a") as file:
            file.write(f'\n[[webhooks]]\nname = "crm"\nurl = "{url}"\nsecret_file = "secret"\n{lines}\n')
        code = run(["webhooks", "test", name, "--config", str(path), *words])
        shown = capsys.readouterr()
        assert SECRET[6:] not in shown.out + shown.err
        return Result(code, shown.out, shown.err)

    return tried


def test_a_message_that_arrives_is_told_with_its_answer(tried: Try) -> None:
    with hook_server() as web:
        web.answer = lambda _: HookAnswer(202)
        done = tried(web.url)
        (message,) = web.messages
    assert done.code == 0
    to, sent, answer = done.out.splitlines()
    assert to == f"to      {web.url.partition('?')[0]}?(hidden)"
    assert sent == (f"sent    {message.id}, a CloudEvent pws.webhook.test, signed with its secret")
    assert answer.startswith("answer  202 after ")
    assert answer.endswith(" ms")
    assert (message.kind, message.subject) == ("pws.webhook.test", None)
    assert message.id == f"crm-{message.event.get_id()}"
    assert "in-the-query" not in done.out + done.err


def test_the_same_as_json(tried: Try) -> None:
    with hook_server() as web:
        done = tried(web.url, "--json")
        document = done.document
    assert (done.code, document.pop("seconds") >= 0, document.pop("at")[-1]) == (0, True, "Z")
    assert document == {
        "webhook": "crm",
        "address": web.url.partition("?")[0],
        "message": web.messages[0].id,
        "type": "pws.webhook.test",
        "secrets": 1,
        "succeeded": True,
        "status": 204,
        "cause": None,
        "cure": None,
    }


@pytest.mark.parametrize(
    ("status", "header", "cause", "cure"),
    [
        (302, ("location", "http://127.0.0.1:9/else"), "it answered 302", "set url to where it leads"),
        (403, None, "it answered 403", "the same secret"),
        (404, None, "it answered 404", "correct the path of url"),
        (410, None, "it answered 410", "it says that it is gone for good"),
        (418, None, "it answered 418", "look into the receiver's log"),
        (503, ("retry-after", "5"), "it answered 503", "it has too much to do"),
        (599, None, "it answered 599", "look into the receiver's log"),
    ],
)
def test_an_answer_that_is_no_success_is_told_with_the_cure(
    tried: Try, status: int, header: tuple[str, str] | None, cause: str, cure: str
) -> None:
    with hook_server() as web:
        web.answer = lambda _: HookAnswer(status, () if header is None else (header,))
        done = tried(web.url)
    assert done.code == 1
    assert f"Error: crm: {cause}" in done.err
    assert cure in done.err
    assert len(web.messages) == 1  # nobody follows, nobody tries again


def test_another_secret_is_recognised(tried: Try) -> None:
    with hook_server(secret=OTHER_SECRET, refuses=True) as web:
        done = tried(web.url, "--json")
    assert (done.code, done.document["status"]) == (1, 401)
    assert "does the receiver have the same secret" in done.document["cure"]


def test_each_secret_signs(tried: Try) -> None:
    """So that receivers may have the new one or the old one."""
    for known in (SECRET, OTHER_SECRET):
        with hook_server(secret=known) as web:
            done = tried(web.url, secret=f"{SECRET}\n{OTHER_SECRET}\n")
            assert done.code == 0
            assert "signed with each of its 2 secrets" in done.out


def test_a_slow_receiver_is_told_as_one(tried: Try) -> None:
    with hook_server() as web:
        web.answer = lambda _: HookAnswer(hangs=True)
        done = tried(web.url, lines="timeout = 1")
    assert done.code == 1
    assert "no answer within 1 s; let the receiver answer first" in done.err


@pytest.mark.parametrize(
    ("url", "lines", "code", "cause", "cure"),
    [
        ("https://no-such-host.invalid/", "", 1, "the name no-such-host.invalid cannot be resolved", "correct url"),
        ("http://127.0.0.1:PORT/", "", 1, "connection refused: nothing listens on port", "start the receiver"),
        ("http://127.0.0.1:PORT/", 'addresses = ["10.0.0.0/8"]', 1, "127.0.0.1 is not one of", "add it to addresses"),
        ("http://169.254.169.254/", "plain_http = true", 1, "169.254.169.254 is no target's", "add it to addresses"),
    ],
)
def test_what_is_in_the_way_is_told(tried: Try, url: str, lines: str, code: int, cause: str, cure: str) -> None:
    done = tried(url.replace("PORT", str(free_port())), lines=lines)
    assert done.code == code
    assert cause in done.err
    assert cure in done.err
    assert done.out.endswith("answer  none\n")


def test_a_certificate_is_checked_and_what_is_wrong_with_it_told(tried: Try, tmp_path: Path) -> None:
    authority = MadeCertificate("An authority", authority=True)
    authority.write(tmp_path / "ca.pem")
    right = MadeCertificate(issuer=authority, names=(IPAddress(ip_address("127.0.0.1")),))
    wrong = MadeCertificate("other.example.com", issuer=authority, names=(DNSName("other.example.com"),))
    with hook_server(context(right, tmp_path)) as web:
        unknown = tried(web.url)
        assert unknown.code == 1
        assert "is not known" in unknown.err
        assert "set ca_file to the certificate of the authority that signed it" in unknown.err
        assert tried(web.url, lines='ca_file = "ca.pem"').code == 0
        empty = tried(web.url, lines='ca_file = "secret"')
        assert empty.code == 2
        assert "set ca_file to a file with certificates in PEM" in empty.err
        plain = tried(web.url.replace("https", "http"))
        assert plain.code == 1
    with hook_server(context(wrong, tmp_path)) as web:
        named = tried(web.url, lines='ca_file = "ca.pem"')
        assert "it names another host: other.example.com" in named.err
        assert "needs a certificate that names 127.0.0.1" in named.err
    with hook_server() as web:
        done = tried(web.url.replace("http", "https"))
        assert "does not speak TLS" in done.err


def test_wrong_words_are_told_with_the_names_that_there_are(
    tried: Try, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = tried("https://h/", name="crn")
    assert (done.code, done.out) == (2, "")
    assert "no webhook 'crn'; there are: crm" in done.err
    assert run(["webhooks", "test", "crm", "--config", str(configure(tmp_path))]) == 2
    assert "the configuration has no [[webhooks]] block" in capsys.readouterr().err
    assert tried("http://h.example.com/").code == 2


def test_the_help_teaches_and_names_are_completed(
    tried: Try, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["webhooks", "--help"]) == 0
    assert "Send one signed test message" in capsys.readouterr().out
    assert run(["webhooks", "test", "--help"]) == 0
    text = capsys.readouterr().out
    assert "pws webhooks test crm" in text.partition("Example:")[2]
    tried("https://h/", name="crn")
    shell = click.Context(click.Command("test"))
    shell.params = {"config_path": tmp_path / "pws.toml"}
    parameter = click.Argument(["name"])
    assert completion.webhooks(shell, parameter, "C") == ["crm"]
    assert completion.webhooks(shell, parameter, "x") == []
    shell.params = {"config_path": tmp_path / "none.toml"}
    assert completion.webhooks(shell, parameter, "") == []
