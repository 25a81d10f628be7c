"""What the status and the figures say of the façade: its programs, who goes silent, whose notifications fail."""

from __future__ import annotations

from dataclasses import replace

from service.core.facade import ProgramStatus
from tests.support.asgi import call
from tests.support.bare_service import BareService
from tests.support.fake_facade import FAILING, SILENT, STATUS, WELL, FakeFacade
from tests.support.figures import Figures
from tests.support.people import JOE, bearer, filled, guarded

PROBLEMS = [
    {
        "since": "2027-01-15T07:40:00.000Z",
        "what": "façade: attendant as reception at 10.1.2.4 has gone silent: notified, and no fetch since; no "
        "notification follows before there is one; does the program run, and listen at its endpoint?",
    },
    {
        "since": "2027-01-15T07:59:00.000Z",
        "what": "façade: notifications of board as lobby at 10.1.2.5 (no connection: Connection refused) fail; does "
        "the program listen at its endpoint, and may this machine connect to it?",
    },
]


def office(**parts: object) -> BareService:
    return filled(BareService(**{"facade": FakeFacade(), **parts}))  # type: ignore[arg-type]  # a service's


async def test_without_a_facade_the_status_has_no_such_member() -> None:
    body = (await office(facade=FakeFacade(None)).get("/v1/status")).json()
    assert "facade" not in body
    assert list(body)[-3:] == ["webhooks", "version", "now"]


async def test_the_status_shows_the_programs_and_says_what_is_wrong_with_them() -> None:
    made = office()
    body = (await made.get("/v1/status")).json()
    assert (body["state"], body["problems"]) == ("live", PROBLEMS)
    facade = body["facade"]
    programs = facade.pop("programs")
    assert facade == {
        "address": "https://presence.example.com:8083",
        "sessions": 5,
        "endpoints": 3,
        "subscriptions": 3,
        "silent": 1,
        "withheld": 2,
        "limits": {"sessions": 10_000, "endpoints": 10_000, "subscriptions": 20_000},
        "requests": {"login": 5, "getSubscribedPresence": 44, "unreadable": 0},
        "faults": {"114": 2},
        "notifications": {"sent": 43, "failed": 2},
        "read_through": 9,
        "programs_in_all": 3,
    }
    assert [(each["user"], each["end_user"], each["silent"], each["failed"]) for each in programs] == [
        ("attendant", "reception", True, 0),
        ("board", "lobby", False, 1),
        ("attendant", "dispatcher", False, 1),
    ]
    assert programs[1] == {
        "user": "board",
        "end_user": "lobby",
        "address": "10.1.2.5",
        "agent": "gSOAP/2.8",
        "since": "2027-01-15T07:50:00.000Z",
        "last_request_at": "2027-01-15T07:59:00.000Z",
        "last_fetch_at": None,
        "endpoints": 1,
        "contacts": 500,
        "notifications": 1,
        "failed": 1,
        "silent": False,
        "subscriptions": [
            {
                "id": 9,
                "contacts": 500,
                "pending": 500,
                "endpoint": "http://10.1.2.5:81",
                "expires_at": "2027-01-15T08:50:00.000Z",
                "notified_at": "2027-01-15T07:59:00.000Z",
                "fetched_at": None,
                "notifications": 1,
                "failed": 1,
                "failing_since": "2027-01-15T07:59:00.000Z",
                "last_error": "no connection: Connection refused",
                "silent": False,
            }
        ],
        "subscriptions_in_all": 1,
    }


async def test_an_answered_notification_ends_the_problem() -> None:
    """`failed` still counts the one that was not."""
    body = (await office(facade=FakeFacade(replace(STATUS, programs=(WELL,)))).get("/v1/status")).json()
    assert body["problems"] == []


async def test_a_program_with_many_subscriptions_shows_those_in_trouble_first() -> None:
    fine = [replace(WELL.subscriptions[0], id=number) for number in range(100, 130)]
    program = replace(WELL, subscriptions=(*fine, *FAILING.subscriptions, *SILENT.subscriptions))
    body = (await office(facade=FakeFacade(replace(STATUS, programs=(program,)))).get("/v1/status")).json()
    (shown,) = body["facade"]["programs"]
    assert [each["id"] for each in shown["subscriptions"]][:3] == [8, 9, 100]
    assert (len(shown["subscriptions"]), shown["subscriptions_in_all"]) == (10, 32)
    assert shown["contacts"] == 30 * 120 + 500 + 30


async def test_a_problem_names_three_programs_and_counts_the_others() -> None:
    def silent(number: int) -> ProgramStatus:
        return replace(SILENT, end_user=f"desk{number}", address=None)

    for count, words in (
        (2, "attendant as desk0 and attendant as desk1 have gone silent"),
        (3, "attendant as desk0, attendant as desk1 and attendant as desk2 have gone silent"),
        (5, "attendant as desk0, attendant as desk1, attendant as desk2 and 2 more have gone silent"),
    ):
        made = office(facade=FakeFacade(replace(STATUS, programs=tuple(map(silent, range(count))))))
        (problem,) = (await made.get("/v1/status")).json()["problems"]
        assert words in problem["what"]


async def test_a_limited_key_sees_nothing_of_it() -> None:
    made = office(groups={"sales": (JOE,)}, authenticator=guarded().authenticator)
    for name in ("sales", "board"):
        body = (await call(made.app, "GET", "/v1/status", headers=bearer(name))).json()
        assert "facade" not in body
        assert body["problems"] == []
    body = (await call(made.app, "GET", "/v1/status", headers=bearer("reader"))).json()
    assert body["facade"]["sessions"] == 5


async def test_figures_say_how_the_programs_of_each_user_do() -> None:
    facade = FakeFacade()
    made = office(facade=facade)
    figures = Figures((await made.get("/metrics")).body.decode())
    assert figures.values("pws_facade_sessions") == {("attendant",): 3, ("board",): 2}
    assert figures.values("pws_facade_endpoints") == {("attendant",): 2, ("board",): 1}
    assert figures.values("pws_facade_subscriptions") == {("attendant",): 2, ("board",): 1}
    assert figures.values("pws_facade_contacts") == {("attendant",): 150, ("board",): 500}
    assert figures.values("pws_facade_silent_subscriptions") == {("attendant",): 1, ("board",): 0}
    assert figures.values("pws_facade_last_fetch_timestamp_seconds") == {("attendant",): 1_799_999_995.0}
    assert figures.value("pws_facade_notifications_total", user="board", outcome="failed") == 1
    assert figures.value("pws_facade_requests_total", operation="login") == 5
    assert figures.value("pws_facade_faults_total", code="114") == 2
    assert figures.value("pws_facade_limit", kind="subscriptions") == 20_000
    assert figures.value("pws_facade_read_through_total") == 9
    assert figures.value("pws_facade_withheld_contacts") == 2
    assert facade.asked == [0]


async def test_without_a_facade_there_are_no_figures_of_it() -> None:
    figures = Figures((await office(facade=FakeFacade(None)).get("/metrics")).body.decode())
    assert not any(sample.name.startswith("pws_facade") for family in figures.families for sample in family.samples)
