"""Replies that prove less than they seem: the request was carried out, and the reply says something else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from lxml import etree

from pws_soap.simulator import Fault, Presence, SimReply, Simulator, State
from pws_soap.simulator.faults.kinds import ENTRY_FAULTS, FORMS
from tests.support.soap_by_hand import ANN, JOE, SOAP11, SOAP12, envelope, fetch, login, poll

from .talk import StillClock, header, post, read, ready

FETCH = "getSubscribedPresence"


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """One node with Ann and Joe, and a clock that stands still."""
    clock = StillClock()
    simulator = Simulator(clock=clock, sleep=clock.sleep, seed=3)
    simulator.put([Presence(ANN, State.AVAILABLE), Presence(JOE, State.AVAILABLE)])
    yield simulator
    await simulator.aclose()


async def fetched(simulator: Simulator, user: str) -> SimReply:
    """The reply to a fetch."""
    return await simulator.post("imp1", {}, envelope(fetch(), user))


@pytest.mark.parametrize("form", FORMS["replace-reply"])
async def test_a_reply_is_replaced_after_the_request_was_carried_out(simulator: Simulator, form: str) -> None:
    """Changes are consumed whatever the reply is; its length is always right."""
    _, user = await ready(simulator)
    simulator.faults.add(Fault("replace-reply", operation=FETCH, count=1, form=form, code=999))
    reply = await fetched(simulator, user)
    assert header(reply.headers, "content-length") == str(len(reply.body))
    assert not reply.close
    carrier, _, number = form.partition("-")
    if number.isdigit():
        assert reply.status == int(number)
    match carrier:
        case "html":
            assert reply.body.startswith(b"<html")
        case "json":
            assert json.loads(reply.body)["status"] == int(number)
        case "empty":
            assert reply.body == b""
        case "half":
            assert reply.body.startswith(b"<?xml")
            with pytest.raises(etree.XMLSyntaxError):
                etree.fromstring(reply.body)
        case _:
            root = etree.fromstring(reply.body)
            assert root.find(f".//{{{SOAP12 if form == 'fault-1.2' else SOAP11}}}Fault") is not None
            assert read(reply).code == (999 if form == "fault-code" else None)
    assert (await post(simulator, fetch(), user)).states == {}
    assert simulator.counters.replies[FETCH] == 2


async def test_a_login_whose_reply_is_replaced_has_made_a_session(simulator: Simulator) -> None:
    """Any operation can be hit; the fault's code is the one that was asked for, with its status."""
    simulator.faults.add(Fault("replace-reply", operation="login", count=1, form="fault-code", code=212))
    reply = await simulator.post("imp1", {}, envelope(login()))
    assert (reply.status, read(reply).code) == (503, 212)
    assert len(simulator.place("imp1").node.registry.sessions) == 1
    assert simulator.counters.faults == {}


@pytest.mark.parametrize("kind", sorted(ENTRY_FAULTS))
async def test_a_fault_of_an_entry_waits_for_a_reply_that_has_one(simulator: Simulator, kind: str) -> None:
    """A reply without contacts does not use it up, nor does one of another operation."""
    _, user = await ready(simulator)
    assert len((await post(simulator, fetch(), user)).states) == 2
    number = simulator.faults.add(Fault(kind, operation=FETCH, count=1))
    before = (await post(simulator, fetch(), user)).root
    assert before.find(".//{*}basicPresenceList") is None
    await post(simulator, poll(ANN), user)
    assert number in simulator.faults.active()
    simulator.change(ANN, state=State.BUSY)
    entries = list((await post(simulator, fetch(), user)).root.iter("{*}contact"))
    assert [dict(entry.attrib) for entry in entries] == {
        "rename-entry": [{"contactURI": "%61nn@example.com", "presenceStatus": "BUSY"}],
        "double-entry": [
            {"contactURI": ANN, "presenceStatus": "BUSY"},
            {"contactURI": ANN, "presenceStatus": "AVAILABLE"},
        ],
        "empty-state": [{"contactURI": ANN, "presenceStatus": ""}],
    }[kind]
    assert simulator.faults.active() == {}
    assert simulator.faults.hits == {kind: 1}


@pytest.mark.parametrize("form", FORMS["stale-reply"])
async def test_a_cache_answers_with_the_reply_before(simulator: Simulator, form: str) -> None:
    """Byte for byte, after the request was carried out; with an Age header where the form says so."""
    _, user = await ready(simulator)
    fault = Fault("stale-reply", operation=FETCH, count=1, form=form)
    number = simulator.faults.add(fault)
    first = await fetched(simulator, user)
    assert number in simulator.faults.active()  # there was no reply before
    simulator.change(ANN, state=State.BUSY)
    simulator.move_clock(7)
    second = await fetched(simulator, user)
    assert second.body == first.body
    assert header(second.headers, "age") == {"plain": None, "age": "7"}[form]
    assert (await post(simulator, fetch(), user)).states == {}
    simulator.faults.add(fault)
    assert (await post(simulator, fetch(), user)).states == {}  # the reply before is the last one that was made


async def test_an_earlier_reply_is_that_of_the_same_operation(simulator: Simulator) -> None:
    """A poll is not answered with a fetch."""
    _, user = await ready(simulator)
    await fetched(simulator, user)
    simulator.faults.add(Fault("stale-reply"))
    assert (await post(simulator, poll(JOE), user)).states == {JOE: "AVAILABLE"}
    assert (await post(simulator, poll(ANN), user)).states == {JOE: "AVAILABLE"}


async def test_a_reply_is_sent_again_over_sockets_only(simulator: Simulator) -> None:
    """In process there is one reply, which says when the second should come."""
    simulator.faults.add(Fault("double-reply", count=1))
    reply = await simulator.post("imp1", {}, envelope(login()))
    assert (read(reply).code, reply.again) == (None, 0.03)
