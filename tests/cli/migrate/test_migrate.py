"""`pws migrate`: what is written, with which rights, and what is never overwritten."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from service.cli.command_line import run
from service.config import load
from tests.support.sample_scripts import samples

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory to write in, with the scripts' files in `scripts`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PWS_CONFIG", raising=False)
    (tmp_path / "scripts").mkdir()
    samples(tmp_path / "scripts")
    return tmp_path


def test_it_writes_a_configuration_and_a_password_for_its_owner_alone(elsewhere: Path, capsys: Capture) -> None:
    assert run(["migrate", "scripts", "--domain", "example.com"]) == 0
    out, err = capsys.readouterr()
    config = load(elsewhere / "pws.toml", {})
    assert config.watch[0].contacts[0] == "joe@example.com"
    assert stat.S_IMODE((elsewhere / "pws-password").stat().st_mode) == 0o600
    assert config.application.password.reveal() == 'hun"ter2'
    assert "- appuser.json: the application user's password is in clear text" in out
    assert "Wrote pws.toml and pws-password" in err
    assert "hun" not in out + err


def test_nothing_is_overwritten_unless_it_is_wanted(elsewhere: Path, capsys: Capture) -> None:
    (elsewhere / "pws.toml").write_text("mine", "utf-8")
    assert run(["migrate", "scripts"]) == 2
    assert "pws.toml exists already" in capsys.readouterr().err
    assert (elsewhere / "pws.toml").read_text("utf-8") == "mine"
    (elsewhere / "pws-password").write_text("mine", "utf-8")
    (elsewhere / "pws-password").chmod(0o644)
    assert run(["migrate", "scripts", "--force"]) == 0
    assert stat.S_IMODE((elsewhere / "pws-password").stat().st_mode) == 0o600


def test_the_findings_are_json_when_asked_for(elsewhere: Path, capsys: Capture) -> None:
    (elsewhere / "sub").mkdir()
    assert run(["migrate", "scripts", "--config", "sub/mine.toml", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["config"] == "sub/mine.toml"
    assert document["password_file"] == "sub/pws-password"
    assert {"where", "what", "instead"} == set(document["findings"][0])


def test_warnings_of_the_new_configuration_are_told(elsewhere: Path, capsys: Capture) -> None:
    samples(elsewhere / "scripts", server={"SERVER": "cup.example.com", "HOST": "10.1.1.1:5000"})
    assert run(["migrate", "scripts"]) == 0
    assert "Warning: callback.url has port 5000" in capsys.readouterr().err


def test_what_is_missing_ends_with_2_and_writes_nothing(elsewhere: Path, capsys: Capture) -> None:
    (elsewhere / "scripts" / "appuser.json").unlink()
    assert run(["migrate", "scripts"]) == 2
    assert "appuser.json: No such file" in capsys.readouterr().err
    assert not (elsewhere / "pws.toml").exists()


def test_a_value_that_does_not_fit_is_told_after_writing(elsewhere: Path, capsys: Capture) -> None:
    samples(elsewhere / "scripts", end_user={"USERNAME": "two words"})
    assert run(["migrate", "scripts"]) == 2
    err = capsys.readouterr().err
    assert "pws.toml is written, but is not valid yet" in err
    assert "watch[0].end_user" in err


def test_a_directory_that_is_not_there_is_told(elsewhere: Path, capsys: Capture) -> None:
    assert run(["migrate", "nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert run(["migrate", "scripts", "--config", "none/pws.toml"]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_nothing_but_regular_files_is_replaced(elsewhere: Path, capsys: Capture) -> None:
    """A pipe would never be read, and the words name the file and what is in the way."""
    os.mkfifo(elsewhere / "pws.toml")
    assert run(["migrate", "scripts", "--force"]) == 2
    assert "pws.toml: it is a pipe, not a regular file" in capsys.readouterr().err
    (elsewhere / "pws-password").unlink()
    (elsewhere / "pws-password").mkdir()
    assert run(["migrate", "scripts", "--force", "--config", "other.toml"]) == 2
    assert "cannot write pws-password: Is a directory" in capsys.readouterr().err


def test_a_full_disk_is_told_and_leaves_what_was_there(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    (elsewhere / "pws.toml").write_text("mine", "utf-8")
    (elsewhere / "pws-password").write_text("mine", "utf-8")

    def full(*_words: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    assert run(["migrate", "scripts", "--force"]) == 2
    assert "cannot write pws-password: No space left on device" in capsys.readouterr().err
    assert {path.name: path.read_text("utf-8") for path in elsewhere.iterdir() if path.is_file()} == {
        "pws.toml": "mine",
        "pws-password": "mine",
    }


def test_a_linked_configuration_is_written_where_the_link_leads(elsewhere: Path) -> None:
    (elsewhere / "pws.toml").symlink_to(elsewhere / "real.toml")
    assert run(["migrate", "scripts"]) == 2
    assert not (elsewhere / "real.toml").exists()
    assert run(["migrate", "scripts", "--force"]) == 0
    assert "nodes" in (elsewhere / "real.toml").read_text("utf-8")
    assert (elsewhere / "pws.toml").is_symlink()
