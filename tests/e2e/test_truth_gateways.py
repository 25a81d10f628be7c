"""Replies that a gateway replaced after the server has carried the request out.

The simulator has room for one subscription and one endpoint: what was made and never heard of must be removed first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from pws_soap.simulator.faults.kinds import FORMS
from tests.e2e.processes import eventually
from tests.e2e.simulated import EVERYTHING, NOTHING, Service
from tests.e2e.truth import ANN, FETCH, ROOM_FOR_ONE, FaultyServer, Observer, Story, Truth, playing, quick

CASES = [(form, 200) for form in FORMS["replace-reply"]] + [("fault-code", 999)]
SHORT = {(FETCH, "fault-code"), (FETCH, "html-502"), ("subscribe", "html-502")}
"""What is tried in every run. All others are long together: a session that is lost often is made anew ever later."""
IN_CI = {
    *((FETCH, form) for form in ("fault", "half-fault", "empty-503")),
    ("login", "fault-code"),
    ("registerEndPoint", "half-fault"),
}
"""What is tried in every run of `.ci/run` as well."""


def case_id(form: str, code: int) -> str:
    return f"{form}-{code}" if form == "fault-code" else form


def marks(operation: str, form: str, code: int) -> list[pytest.MarkDecorator]:
    """When the case runs."""
    if code == 200 and (operation, form) in SHORT:
        return []
    return [pytest.mark.long(ci=code == 200 and (operation, form) in IN_CI)]


def cases(*operations: str) -> list[ParameterSet]:
    """All forms for these operations."""
    return [
        pytest.param(
            operation,
            form,
            code,
            id=f"{operation}-{case_id(form, code)}",
            marks=marks(operation, form, code),
        )
        for operation in operations
        for form, code in CASES
    ]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with playing(tmp_path_factory.mktemp("gateways"), *ROOM_FOR_ONE) as made:
        made.recovers()
        yield made


def has_hit(server: FaultyServer, hits: int) -> None:
    assert server.injected("replace-reply") == hits


def is_whole(server: FaultyServer) -> None:
    assert server.holds() == EVERYTHING


@pytest.mark.parametrize(("operation", "form", "code"), cases(FETCH))
def test_a_fetch_whose_reply_was_replaced_loses_no_change(operation: str, form: str, code: int, story: Story) -> None:
    """The change was taken with the reply; it is read in another way, and nobody is wrong meanwhile."""
    hits = story.server.injected("replace-reply")
    story.server.fault("replace-reply", operation=operation, form=form, code=code, count=1)
    with story.observed():
        story.truth.toggle(ANN)
        eventually(lambda: has_hit(story.server, hits + 1))
    eventually(lambda: is_whole(story.server))


@pytest.mark.parametrize(("operation", "form", "code"), cases("login", "registerEndPoint", "subscribe"))
def test_what_was_made_unheard_is_removed_and_made_anew(operation: str, form: str, code: int, tmp_path: Path) -> None:
    """The first reply to the operation is replaced; all becomes live and true, and SIGTERM leaves nothing behind."""
    with FaultyServer(tmp_path, *ROOM_FOR_ONE) as server:
        server.ready().fault("replace-reply", operation=operation, form=form, code=code, count=1)
        with Service(tmp_path, quick(tmp_path, server.port)) as service:
            truth = Truth(server)
            with Observer(service.site, truth):
                story = Story(server, service.ready(), truth)
                has_hit(server, 1)
                story.truth.toggle(ANN)
                story.recovers()
            is_whole(server)
            assert service.stop() == 0
        assert server.holds() == NOTHING
