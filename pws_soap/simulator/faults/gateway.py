"""Replies that a gateway or a proxy between client and server gives in the server's place. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pws_soap.server.codes import THROTTLED
from pws_soap.server.http_reply import HttpReply
from pws_soap.server.messages import Version
from pws_soap.server.options import ServerOptions
from pws_soap.server.soap.replies import write_fault
from pws_soap.simulator.faults.kinds import Fault

_FAULT: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body><soap:Fault>'
    b"<faultcode>soap:Server</faultcode><faultstring>The backend did not answer.</faultstring>"
    b"</soap:Fault></soap:Body></soap:Envelope>"
)
_FAULT_12: Final = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope"><env:Body><env:Fault>'
    b"<env:Code><env:Value>env:Receiver</env:Value></env:Code>"
    b'<env:Reason><env:Text xml:lang="en">The backend did not answer.</env:Text></env:Reason>'
    b"</env:Fault></env:Body></env:Envelope>"
)
_REASONS: Final = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout"}


def throttled(fault: Fault, version: Version, options: ServerOptions) -> HttpReply:
    """The 503 of `http-503`."""
    code = fault.code if fault.code in THROTTLED else 210
    return write_fault(code, version, replace(options, throttle_body=fault.body))


def replacement(fault: Fault, version: Version, options: ServerOptions) -> HttpReply:
    """The reply of `replace-reply`, by its form."""
    match fault.form:
        case "fault":
            return HttpReply(500, "text/xml; charset=utf-8", _FAULT)
        case "fault-1.2":
            return HttpReply(500, "application/soap+xml; charset=utf-8", _FAULT_12)
        case "fault-code":
            return write_fault(fault.code, version, options)
        case "half-fault":
            whole = write_fault(fault.code, version, options)
            return replace(whole, body=whole.body[: len(whole.body) // 2])
    carrier, _, number = fault.form.partition("-")
    status = int(number)
    match carrier:
        case "html":
            page = f"<html><head><title>{status}</title></head><body><h1>{_REASONS[status]}</h1><hr></body></html>"
            return HttpReply(status, "text/html", page.encode())
        case "json":
            text = f'{{"status": {status}, "error": "{_REASONS[status]}", "path": "/presence-service/soap"}}'
            return HttpReply(status, "application/json", text.encode())
        case _:
            return HttpReply(status, "text/plain", b"")
