"""Encodes requests to bytes and decodes replies to values: the one module that touches zeep's types. No I/O.

zeep builds every request from the WSDL and reads every small reply. A fault is found whatever the HTTP status and
wherever under the detail its description stands (protocol section 3). Replies are parsed by `pws_soap.envelope` with
document types and entities refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import zeep.exceptions
from lxml import etree

from pws_soap.contract import HEADER_PART, Contract
from pws_soap.envelope import child, local, local_of
from pws_soap.errors import ContractError, EmptyReply, Fault, UnexpectedReply
from pws_soap.models import Secret


@dataclass(frozen=True, slots=True)
class EncodedRequest:
    """An encoded request. `body` is a whole envelope and holds secrets, so it is never shown.

    `secrets` holds them, to remove them from the texts of faults.
    """

    operation: str
    body: bytes
    headers: dict[str, str]
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Request({self.operation!r}, {len(self.body)} bytes)"


_STATUS_OK: Final = 200
_STATUS_BUSY: Final = 503


def encode(
    contract: Contract,
    operation: str,
    arguments: dict[str, Any],
    key: Secret | None = None,
    rich: etree._Element | None = None,
) -> EncodedRequest:
    """Build one request.

    `rich` is a document for setPresence: zeep writes an anyType as text, so the element is put in its place here.
    """
    header = {} if key is None else {"_soapheaders": {HEADER_PART: key.reveal()}}
    try:
        message = contract.binding.get(operation).create(**arguments, **header).content
    except (zeep.exceptions.Error, TypeError, ValueError) as error:
        raise ContractError(contract.source, reason=f"has no room for this {operation}: {error}") from None
    if rich is not None:
        for place in message.iter("{*}richPresence"):
            place.text = None
            place.append(rich)
    body = etree.tostring(message, xml_declaration=True, encoding="UTF-8")
    action = contract.action(operation)
    if contract.soap == "1.2":
        headers = {"Content-Type": f'application/soap+xml; charset=utf-8; action="{action}"'}
    else:
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": f'"{action}"'}
    return EncodedRequest(operation, body, headers, tuple(_secrets(arguments, key)))


def hide(text: str, secrets: tuple[str, ...]) -> str:
    """A text of the server or of a proxy with our secrets masked, since a server may repeat what it was sent."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _secrets(arguments: dict[str, Any], key: Secret | None) -> Iterator[str]:
    """The secrets of a request, the longest first: the callback's path is a part of its URL."""
    if key is not None:
        yield key.reveal()
    for name in ("password", "app-session-id", "url"):
        if arguments.get(name):
            yield str(arguments[name])
    path = urlsplit(arguments.get("url") or "").path
    if len(path) > 1:
        yield path


def payload(
    envelope: etree._Element,
    operation: str,
    status: int = _STATUS_OK,
    secrets: tuple[str, ...] = (),
    key: Secret | None = None,
) -> etree._Element:
    """The element inside the body of a reply.

    Raises Fault for a fault, in an envelope or as a bare description, and UnexpectedReply for anything that is not the
    response of `operation`, or that repeats another session key than `key` (servers may repeat it, protocol section 2).
    """
    name = local(envelope)
    if name == "description":
        raise _fault(envelope, operation, status, secrets)
    if name == "Envelope" and (strange := _strange_header(envelope)):
        raise _unexpected(operation, status, strange)
    bodies = [node for node in envelope if local(node) == "Body"] if name == "Envelope" else []
    if len(bodies) != 1:
        what = f"an element {name!r}" if name != "Envelope" else f"an envelope with {len(bodies) or 'no'} bodies"
        raise _unexpected(operation, status, what)
    if key is not None and not _repeats(envelope, key):
        raise _unexpected(operation, status, "a reply to another session")
    content = [node for node in bodies[0] if isinstance(node.tag, str)]
    first = content[0] if len(content) == 1 else None
    if first is not None and local(first) == "Fault":
        raise _fault(first, operation, status, secrets)
    if first is None or local(first) != operation + "Response":
        names = ", ".join(repr(local(node)) for node in content[:3])
        raise _unexpected(operation, status, names if content else "an empty body")
    if status != _STATUS_OK:  # the server answers what it has done with 200: this is not from the server either
        raise _unexpected(operation, status, f"{local(first)!r}")
    return first


def _strange_header(envelope: etree._Element) -> str | None:
    """A fault in a reply's header, or a header block that must be understood (SOAP 1.1 section 4.2.3)."""
    header = child(envelope, "Header")
    for node in header if header is not None else ():
        name = local(node)
        must = any(local_of(key) == "mustUnderstand" and value in {"1", "true"} for key, value in node.attrib.items())
        if name == "Fault" or (must and name != "session-key"):
            return f"a header {name[:40]!r}"
    return None


def _repeats(envelope: etree._Element, key: Secret) -> bool:
    """Whether every session key in the header of a reply is this one; there need not be any."""
    header = child(envelope, "Header")
    found = [node.text for node in header if local(node) == "session-key"] if header is not None else []
    return all((text or "").strip() in {"", key.reveal()} for text in found)


def typed(contract: Contract, element: etree._Element, operation: str) -> Any:
    """A small reply as zeep's typed value, by the WSDL's element of that name."""
    redirect = child(element, "redirect")
    if redirect is not None and not redirect.attrib:
        redirect.set("primaryServer", "")  # zeep forgets an element without attributes and content
    try:
        return contract.schema.deserialize(element)
    except (zeep.exceptions.Error, ValueError, TypeError, AttributeError, KeyError, LookupError) as error:
        raise UnexpectedReply(f"the reply does not fit the WSDL: {error}", operation=operation) from None


def no_envelope(operation: str, status: int) -> Exception:
    """The error of a reply that has no body: an overload for 503, else an empty reply."""
    if status == _STATUS_BUSY:
        return Fault.of(None, status=status, operation=operation)
    return EmptyReply(f"HTTP {status} with an empty body", operation=operation)


def _unexpected(operation: str, status: int, got: str) -> Exception:
    if status == _STATUS_BUSY:
        return Fault.of(None, status=status, operation=operation)
    wanted = f"instead of {operation}Response" if status == _STATUS_OK else "and not 200"
    http = f"HTTP {status} with " if status != _STATUS_OK else ""
    return UnexpectedReply(f"{http}{got} {wanted}", operation=operation)


def _is_cisco(tag: str) -> bool:
    """Whether an element of a fault is the server's: a gateway's fault may have a `code` in a namespace of its own."""
    return not tag.startswith("{") or tag.startswith("{urn:cisco:")


def _fault(element: etree._Element, operation: str, status: int, secrets: tuple[str, ...]) -> Fault:
    """Read `code`, `message` and `fix` by local name, wherever they stand under the detail (protocol section 3)."""
    place = child(element, "detail") if local(element) == "Fault" else element
    texts: dict[str, str] = {}
    for node in (place if place is not None else element).iter():
        if isinstance(node.tag, str) and _is_cisco(node.tag):
            name = local(node).lower()
            if name in {"code", "message", "fix"} and name not in texts and node.text and node.text.strip():
                texts[name] = " ".join(node.text.split())
    number = texts.get("code", "")
    code = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
    message = texts.get("message", "")
    if not message:
        for name in ("faultstring", "Text"):
            found = next(element.iter("{*}" + name), None)
            if found is not None and found.text:
                message = " ".join(found.text.split())
                break
    text, fix = (hide(each, secrets)[:500] for each in (message, texts.get("fix", "")))
    return Fault.of(code, text, fix, status=status, operation=operation)
