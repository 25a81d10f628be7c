"""The list as a table, and how its form is chosen."""

from __future__ import annotations

import csv
import io

import pytest

from pws_soap.models import Device
from service.access.authentication import AccessRules, Authenticator
from service.access.principal import Principal, Scope
from service.api.negotiation import NotAcceptable, preferred
from service.api.writers import csv_table
from service.api.writers.fields import COLUMNS
from service.core.clock import Moment
from service.core.presence.claim import Claim
from service.core.presence.snapshot import CLAIMED, ContactSnapshot
from tests.support.asgi import Answer
from tests.support.bare_service import AVAILABLE, BUSY, BareService, presence

ANN, BOB, CID = "ann@example.com", "bob@example.com", "cid@example.com"
TABLE = "text/csv"


def office(authenticator: Authenticator | None = None) -> BareService:
    """Two that were read, and one that was not."""
    made = BareService({"support": (ANN,)}, authenticator=authenticator)
    made.watch(ANN, BOB, CID)
    made.read(
        [
            presence(
                ANN,
                BUSY,
                activities=("busy", "on-the-phone"),
                on_the_phone=True,
                display_name='Änn "the voice", Example',
                note="two\nlines",
                devices=(Device("d", True),),
            ),
            presence(BOB, AVAILABLE, display_name="=cmd|' /C calc'!A0", idle=False),
        ]
    )
    return made


def rows(answer: Answer) -> list[dict[str, str]]:
    """As a spreadsheet reads it."""
    assert answer.status == 200, answer.body
    return list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"), newline="")))


async def test_a_table_has_a_row_for_each_contact() -> None:
    """And the JSON's keys as its columns, in their order, devices left out."""
    made = office()
    answer = await made.get("/v1/presence", accept=TABLE)
    keys = list((await made.get(f"/v1/presence/{ANN}")).json())
    keys.remove("devices")
    found = rows(answer)
    assert list(found[0]) == list(COLUMNS) == keys
    assert found[0] == {
        "contact": ANN,
        "state": "BUSY",
        "activities": "busy on-the-phone",
        "on_the_phone": "true",
        "display_name": 'Änn "the voice", Example',
        "note": "two\nlines",
        "idle": "",
        "freshness": "live",
        "as_of": "2027-01-15T08:00:00.000Z",
        "changed_at": "2027-01-15T08:00:00.000Z",
        "source": "subscribed",
        "revision": "4",
        "available": "false",
        "reason": "support: on the phone",
        "claim": "",
    }
    assert (found[1]["idle"], found[1]["available"]) == ("false", "true")
    assert (found[2]["state"], found[2]["freshness"], found[2]["as_of"]) == ("UNKNOWN", "unknown", "")


async def test_a_table_is_what_spreadsheets_take() -> None:
    """A byte order mark for umlauts, CR LF, a name for the file."""
    answer = await office().get("/v1/presence", accept=TABLE)
    assert answer.body.startswith(b"\xef\xbb\xbfcontact,state,")
    assert answer.body.count(b"\r\n") == 4
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"] == 'attachment; filename="presence.csv"'
    assert answer.headers["etag"].startswith('"')
    assert "Accept" in answer.headers["vary"]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\N{FULLWIDTH EQUALS SIGN}1"])
async def test_no_cell_is_a_formula(name: str) -> None:
    """A display name is whatever somebody typed."""
    made = office()
    made.read([presence(ANN, BUSY, display_name=name, note=name, activities=(name,))])
    first = rows(await made.get("/v1/presence", accept=TABLE))[0]
    assert first["display_name"] == first["note"] == first["activities"] == f"'{name}"


async def test_text_that_is_no_unicode_does_not_break_the_table() -> None:
    """Half a surrogate pair is shown as a question mark."""
    made = office()
    made.read([presence(ANN, BUSY, display_name="a\ud800b\0")])
    assert rows(await made.get("/v1/presence", accept=TABLE))[0]["display_name"] == "a?b\0"


async def test_fields_choose_the_columns() -> None:
    """In the contact's own order."""
    found = rows(await office().get("/v1/presence?fields=available,state", accept=TABLE))
    assert list(found[0]) == ["contact", "state", "available"]


async def test_devices_are_no_column() -> None:
    """Anybody who asks for them is told, and told what there is."""
    answer = await office().get("/v1/presence?fields=devices", accept=TABLE)
    assert answer.status == 422
    assert "contact, state," in answer.json()["errors"][0]["expected"]


async def test_who_sees_availability_alone_has_those_columns() -> None:
    """And no others."""
    who = Principal("board", frozenset({Scope.READ}), details=False)
    found = rows(await office(Authenticator(rules=AccessRules(anonymous=who))).get("/v1/presence", accept=TABLE))
    assert list(found[0]) == ["contact", "display_name", "available", "freshness", "as_of", "revision"]


async def test_pages_of_a_table_lead_on() -> None:
    """By the header alone."""
    made = office()
    first = await made.get("/v1/presence?limit=2&state=BUSY&state=AVAILABLE&state=UNKNOWN", accept=TABLE)
    target, relation = first.headers["link"].split("; ")
    assert relation == 'rel="next"'
    assert target.startswith("</v1/presence?limit=2&state=BUSY&state=AVAILABLE&state=UNKNOWN&cursor=")
    second = await made.get(target.strip("<>"), accept=TABLE)
    assert [row["contact"] for row in rows(first) + rows(second)] == [ANN, BOB, CID]
    assert "link" not in second.headers


def test_a_claim_is_told_by_holder_and_purpose() -> None:
    """In one cell."""
    made = office()
    known = made.core.reader.one(BOB)
    assert known is not None
    moment = Moment(0.0, 0.0)
    claim = Claim("id", BOB, BOB, "support", "ticket 4711", "desk", moment, moment)
    held = ContactSnapshot(known.record, known.freshness, CLAIMED, claim)
    anybodys = ContactSnapshot(
        known.record, known.freshness, CLAIMED, Claim("id", BOB, BOB, "support", "", "=desk", moment, moment)
    )
    lines = csv_table.table([held, anybodys], ["contact", "claim"]).decode("utf-8-sig").splitlines()
    assert lines == ["contact,claim", f"{BOB},desk: ticket 4711", f"{BOB},'=desk"]


# --- which form


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/json", "application/json"),
        ("application/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV; charset=utf-8; header=present", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv, application/json", "application/json"),
        ("application/json;q=0.5, text/csv", "text/csv"),
        ("application/json;q=0.5, text/csv;q=0.4", "application/json"),
        ("text/csv;q=0.9, */*;q=0.1", "text/csv"),
        ("application/json;q=0, */*", "text/csv"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "application/json"),
        ("text/csv;q=2, application/json;q=0.9", "application/json"),  # the first says nothing that can be read
        ("json", "application/json"),
        (", ;q=1, a/b/c", "application/json"),
        ("text/csv ; Q=0.5", "text/csv"),
    ],
)
def test_the_form_is_what_the_client_likes_best(accept: str, expected: str) -> None:
    """By quality, by the most exact range, and of equals JSON."""
    assert preferred(accept, ("application/json", "text/csv")) == expected


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "*/*;q=0", "image/*, text/html;q=0.2"])
async def test_nothing_acceptable_is_told_with_what_there_is(accept: str) -> None:
    """406, and no guess."""
    with pytest.raises(NotAcceptable):
        preferred(accept, ("application/json", "text/csv"))
    answer = await office().get("/v1/presence", accept=accept)
    assert (answer.status, answer.json()["type"]) == (406, "/problems/not-acceptable")
    assert answer.json()["detail"] == "There is application/json and text/csv"


async def test_json_and_table_have_tags_of_their_own() -> None:
    """One is never taken for the other."""
    made = office()
    json_tag = (await made.get("/v1/presence")).headers["etag"]
    first = await made.get("/v1/presence", accept=TABLE)
    assert first.headers["etag"] != json_tag
    assert (await made.get("/v1/presence", accept=TABLE, if_none_match=json_tag)).status == 200
    assert (await made.get("/v1/presence", accept=TABLE, if_none_match=first.headers["etag"])).status == 304
