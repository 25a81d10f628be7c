"""An answer, in a form in which two can be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lxml import etree

from pws_soap.server.messages import Version
from pws_soap.server.options import ServerOptions
from pws_soap.server.soap.replies import write_fault


@dataclass(frozen=True)
class Told:
    """A reply. The body is in canonical form, with keys and ids by their place in the order of their giving."""

    status: int
    kind: str
    """The content type."""
    close: bool
    body: str

    @property
    def code(self) -> int | None:
        """The code of a fault."""
        _, begin, rest = self.body.partition("<code>")
        return int(rest.partition("<")[0]) if begin else None


def canonical(body: bytes, change: Callable[[etree._Element], None] = lambda root: None) -> str:
    """XML in canonical form, after a change; anything else as it is."""
    if not body.startswith(b"<?xml"):
        return body.decode("utf-8", "replace")
    root = etree.fromstring(body)
    change(root)
    return etree.tostring(root, method="c14n", exclusive=True).decode()


def fault(code: int, reason: str, version: Version) -> Told:
    """A refusal, after which the connection is closed."""
    written = write_fault(code, version, ServerOptions(), reason)
    return Told(written.status, written.content_type, close=True, body=canonical(written.body))
