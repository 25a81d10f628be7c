"""The PIDF documents that the server writes, in every form of section 4."""

from __future__ import annotations

from typing import Literal

import pytest
from lxml import etree

from pws_soap.server import Device, Presence, ServerOptions, State
from pws_soap.server.soap.pidf_writer import carried, document

PIDF = "urn:ietf:params:xml:ns:pidf"
RPID = "urn:cisco:params:xml:ns:pidf:rpid"
DATA_MODEL = "urn:ietf:params:xml:ns:pidf:data-model"
CIPID = "urn:ietf:params:xml:ns:pidf:cipid"
SERVCAPS = "urn:ietf:params:xml:ns:pidf:servcaps"
ANN = Presence(
    "ann@example.com",
    State.BUSY,
    "Ann <Example>",
    ("on-the-phone",),
    note="a & b",
    devices=(
        Device("cisco-upc", text=True),
        Device("cmp-8001-162", True, audio=True, address="sip:8001@198.51.100.7:5060", priority="0.8", source="x<y"),
    ),
    manual=True,
    since=1_769_338_576.0,
)


def parsed(presence: Presence, **options: object) -> etree._Element:
    """The document of a contact."""
    return etree.fromstring(document(presence, ServerOptions(**options)))  # type: ignore[arg-type]  # names and values of a test


def names(root: etree._Element, path: str) -> list[str]:
    """Local names of the elements under a path of local names."""
    found = root.find("/".join(f"{{*}}{step}" for step in path.split("/")))
    return [] if found is None else [etree.QName(child).localname for child in found]


def texts(root: etree._Element, name: str) -> list[str | None]:
    """The texts of all elements of that name."""
    return [element.text for element in root.iter(f"{{*}}{name}")]


def test_a_document_with_everything_in_its_namespace() -> None:
    """rich_namespaces=right."""
    root = parsed(ANN)
    assert (root.tag, root.get("entity")) == (f"{{{PIDF}}}presence", "sip:ann@example.com")
    assert [child.tag for child in root] == [
        f"{{{RPID}}}person",
        f"{{{CIPID}}}display-name",
        f"{{{PIDF}}}tuple",
        f"{{{PIDF}}}tuple",
    ]
    assert names(root, "person/activities") == ["user-input", "busy", "on-the-phone", "phone-status", "im-status"]
    assert texts(root, "phone-status") == ["busy"]
    assert texts(root, "im-status") == ["available"]
    assert texts(root, "class") == ["manual"]
    assert texts(root, "display-name") == ["Ann <Example>"]
    assert texts(root, "note") == ["a & b", None, None]
    assert [element.get("id") for element in root.iter(f"{{{PIDF}}}tuple")] == ["cisco-upc", "cmp-8001-162"]
    assert texts(root, "basic") == ["open", "open"]
    assert texts(root, "audio") == ["false", "true"]
    assert [element.tag for element in root.iter("{*}servcaps")] == [f"{{{SERVCAPS}}}servcaps"] * 2
    assert texts(root, "contact") == ["sip:ann@example.com", "sip:8001@198.51.100.7:5060"]
    assert texts(root, "source") == ["x<y"]
    assert texts(root, "timestamp") == ["2026-01-25T10:56:16Z"] * 2


def test_wrong_and_missing_namespaces() -> None:
    """rich_namespaces=wrong and missing: the same elements elsewhere."""
    wrong = parsed(ANN, rich_namespaces="wrong")
    assert [element.tag for element in wrong][:2] == [f"{{{DATA_MODEL}}}person", f"{{{PIDF}}}display-name"]
    missing = parsed(ANN, rich_namespaces="missing")
    assert {etree.QName(element).namespace for element in missing.iter("*")} == {None}
    assert names(missing, "person/activities") == names(parsed(ANN), "person/activities")


def test_mixed_namespaces_and_persons_differ_between_contacts_and_stay_for_each() -> None:
    """rich_namespaces=mixed, rich_person=mixed."""
    options = ServerOptions(rich_namespaces="mixed", rich_person="mixed")
    people = [Presence(f"person{number}@example.com", State.BUSY, "Person") for number in range(40)]
    documents = [document(person, options) for person in people]
    roots = [etree.fromstring(text) for text in documents]
    assert {root.tag for root in roots} == {"presence", f"{{{PIDF}}}presence"}
    assert {root.find("{*}person") is None for root in roots} == {True, False}
    assert documents == [document(person, options) for person in people]


def test_without_a_person_the_devices_tell_everything() -> None:
    """rich_person=never."""
    root = parsed(ANN, rich_person="never")
    assert root.find("{*}person") is None
    assert names(root, "tuple/status/activities") == ["busy", "on-the-phone"]
    assert texts(root, "note") == ["a & b", "a & b"]
    assert texts(root, "user-input") == ["active", "active"]


def test_the_other_spelling_of_a_name() -> None:
    """rich_name=displayname."""
    assert texts(parsed(ANN, rich_name="displayname"), "displayname") == ["Ann <Example>"]


@pytest.mark.parametrize(
    ("state", "basic"), [(State.UNAVAILABLE, "closed"), (State.VACATION, "closed"), (State.AWAY, "open")]
)
def test_a_contact_without_devices_has_a_soft_client(state: State, basic: str) -> None:
    """Which is open while the person is there; without a time the timestamp is empty."""
    root = parsed(Presence("joe@example.com", state, idle=True))
    assert [element.get("id") for element in root.iter("{*}tuple")] == ["cisco-upc"]
    assert texts(root, "basic") == [basic]
    assert texts(root, "timestamp") == [None]
    assert texts(root, "user-input") == ["idle"]
    assert names(root, "person/activities")[1] == state.value.lower()
    assert root.find("{*}display-name") is None


def test_the_document_of_an_unknown_contact_says_so_and_no_more() -> None:
    """It comes back as UNKNOWN, not as a fault (K)."""
    root = parsed(Presence("nobody@example.com", State.UNKNOWN))
    assert (root.get("entity"), len(root)) == ("sip:nobody@example.com", 1)
    assert names(root, "person/activities") == ["unknown"]


def test_a_device_may_have_activities_of_its_own() -> None:
    """activities inside status."""
    root = parsed(Presence("a@b", State.BUSY, devices=(Device("cmp-1-2", False, activities=("alerting",)),)))
    assert names(root, "tuple/status/activities") == ["alerting"]
    assert texts(root, "basic") == ["closed"]


def test_a_federated_contact_is_known_to_rich_presence_alone() -> None:
    """No BASIC at all (K)."""
    presence = Presence("eve@partner.example", State.BUSY, federated=True)
    assert presence.basic is State.UNKNOWN
    assert "busy" in names(parsed(presence), "person/activities")


@pytest.mark.parametrize("carrier", ["cdata", "escaped"])
@pytest.mark.parametrize("declared", [True, False])
def test_several_documents_in_one_text(carrier: Literal["cdata", "escaped"], declared: bool) -> None:
    """CDATA or escaped text holds exactly what elements would, each with a declaration if wanted."""
    documents = [document(Presence("a@b", State.BUSY, note="]]>"), ServerOptions())] * 2
    options = ServerOptions(rich_carrier=carrier, rich_declaration=declared)
    text = etree.fromstring("<x>" + carried(documents, options) + "</x>").text or ""
    head = '<?xml version="1.0" encoding="UTF-8"?>\n' if declared else ""
    assert text == "\n".join(head + each for each in documents)
