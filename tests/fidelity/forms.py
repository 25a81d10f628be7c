"""How a toolkit may write a request: each form makes the body and the headers of HTTP from the XML of an operation.

All but the last few are taken by gSOAP (protocol section 2, Transport); what becomes of one is for both sides to say.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from tests.support.soap_by_hand import PWS, SOAP11, SOAP12, envelope

Written = tuple[bytes, dict[str, str]]
Form = Callable[[str, str | None, str], Written]
"""Of the XML of an operation, a session key and the version of SOAP."""

_SOAP: Final = {"1.1": SOAP11, "1.2": SOAP12}
_KIND: Final = {"1.1": "text/xml; charset=utf-8", "1.2": "application/soap+xml; charset=utf-8"}
_XSI: Final = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'


def _headers(soap: str, **more: str) -> dict[str, str]:
    return {"content-type": _KIND[soap], "soapaction": '""'} | {
        name.replace("_", "-"): value for name, value in more.items()
    }


def _in_xml(change: Callable[[str], str]) -> Form:
    """A form whose operation is written differently."""
    return lambda xml, key, soap: (envelope(change(xml), key, soap=_SOAP[soap]), _headers(soap))


def _with_header(header: str) -> Form:
    """A form with one header more."""
    return lambda xml, key, soap: (envelope(xml, key, soap=_SOAP[soap], header=header), _headers(soap))


def _packed(pack: Callable[[bytes], bytes], encoding: str) -> Form:
    def form(xml: str, key: str | None, soap: str) -> Written:
        return pack(envelope(xml, key, soap=_SOAP[soap])), _headers(soap, content_encoding=encoding)

    return form


def _in_bytes(change: Callable[[bytes], bytes]) -> Form:
    """A form whose envelope is changed as it is."""
    return lambda xml, key, soap: (change(envelope(xml, key, soap=_SOAP[soap])), _headers(soap))


def _tpi(xml: str, key: str | None, soap: str) -> Written:
    header = "" if key is None else f'<t:session-key xmlns:t="urn:cisco:cup:tpi:soap">{key}</t:session-key>'
    return envelope(xml, soap=_SOAP[soap], header=header), _headers(soap)


def _multipart(xml: str, key: str | None, soap: str) -> Written:
    content = envelope(xml, key, soap=_SOAP[soap])
    body = b"--part\r\nContent-Type: text/xml; charset=utf-8\r\n\r\n" + content + b"\r\n--part--\r\n"
    return body, _headers(soap) | {"content-type": 'multipart/related; boundary="part"; type="text/xml"'}


def _latin(xml: str, key: str | None, soap: str) -> Written:
    content = envelope(xml + "<!-- Zoë -->", key, soap=_SOAP[soap]).decode()
    return content.encode("latin-1"), _headers(soap) | {"content-type": "text/xml; charset=iso-8859-1"}


def _utf16(xml: str, key: str | None, soap: str) -> Written:
    content = '<?xml version="1.0" encoding="utf-16"?>' + envelope(xml, key, soap=_SOAP[soap]).decode()
    return content.encode("utf-16"), {"content-type": "text/xml"}


def _within(xml: str, at: str, more: str) -> str:
    """The XML with something more right before the first `at`, or at its end."""
    place = xml.find(at)
    return xml if place < 0 else xml[:place] + more + xml[place:]


FORMS: Final[Mapping[str, Form]] = {
    "plain": _in_xml(lambda xml: xml),
    "other prefixes": _in_xml(
        lambda xml: re.sub(r"<(/?)(?=\w)", r"<\1p:", xml).replace(f' xmlns="{PWS}"', f' xmlns:p="{PWS}"')
    ),
    "xsi:type": _in_xml(
        lambda xml: xml.replace("<expiration>", f'<expiration {_XSI} xsi:type="xsd:int">')
        .replace("<username>", f'<username {_XSI} xsi:type="xsd:string">')
        .replace("<contactsList>", f'<contactsList {_XSI} xsi:type="x:List" xmlns:x="urn:x">')
    ),
    "wrong xsi:type": _in_xml(lambda xml: xml.replace("<expiration>", f'<expiration {_XSI} xsi:type="xsd:string">')),
    "xsi:nil": _in_xml(lambda xml: xml.replace("<expiration>", f'<expiration {_XSI} xsi:nil="true">')),
    "unknown element": _in_xml(lambda xml: _within(xml, "</", "<x:more xmlns:x='urn:x'>1<x:y/></x:more>")),
    "unknown attribute": _in_xml(lambda xml: xml.replace("<contact ", '<contact nickname="A" ')),
    "unknown in the list": _in_xml(lambda xml: xml.replace("<contact ", "<group/><contact ", 1)),
    "white space": _in_xml(lambda xml: xml.replace("<expiration>", "<expiration>\n +0").replace("ID>", "ID> ", 1)),
    "a comment": _in_xml(lambda xml: xml.replace("<presenceType>", "<presenceType><!-- x -->")),
    "twice": _in_xml(lambda xml: xml.replace("</expiration>", "</expiration><expiration>1</expiration>")),
    "text between": _in_xml(lambda xml: xml.replace("<presenceType>", "text<presenceType>")),
    "wrong attribute": _in_xml(lambda xml: xml.replace("contactURI", "uri")),
    "wrong element in the list": _in_xml(lambda xml: xml.replace("<contact ", "<person ")),
    "no number": _in_xml(lambda xml: xml.replace("</expiration>", ".0</expiration>")),
    "wrong namespace": _in_xml(lambda xml: xml.replace(PWS, "urn:other")),
    "no namespace": _in_xml(lambda xml: xml.replace(f' xmlns="{PWS}"', "")),
    "two operations": _in_xml(lambda xml: xml + xml),
    "something beside it": _in_xml(lambda xml: xml + '<x:ref id="_1" xmlns:x="urn:x"/>'),
    "empty body": _in_xml(lambda xml: ""),
    "an unknown header": _with_header('<x:trace xmlns:x="urn:x">7</x:trace>'),
    "a header to be understood": _with_header(
        f'<x:trace xmlns:x="urn:x" xmlns:a="{SOAP11}" xmlns:b="{SOAP12}" a:mustUnderstand="1">7</x:trace>'
    ),
    "a header for somebody else": _with_header(
        f'<x:trace xmlns:x="urn:x" xmlns:a="{SOAP11}" xmlns:b="{SOAP12}" a:actor="urn:y" b:role="urn:y" '
        'a:mustUnderstand="1">7</x:trace>'
    ),
    "the key in the other namespace": _tpi,
    "gzip": _packed(lambda content: gzip.compress(content, mtime=0), "gzip"),
    "deflate": _packed(zlib.compress, "deflate"),
    "packed, and not said": _packed(lambda content: gzip.compress(content, mtime=0), "x-other"),
    "one part": _multipart,
    "latin-1": _latin,
    "utf-16": _utf16,
    "a document type": _in_bytes(lambda content: b"<!DOCTYPE e:Envelope>" + content),
    "an entity": _in_bytes(lambda content: b'<!DOCTYPE e:Envelope [<!ENTITY x "1">]>' + content),
    "space before it": _in_bytes(lambda content: b"\r\n <?xml version='1.0'?>" + content),
    "half": _in_bytes(lambda content: content[: len(content) // 2]),
    "no XML": _in_bytes(lambda content: b"presence, please"),
    "nothing": _in_bytes(lambda content: b""),
    "another envelope": _in_bytes(lambda content: content.replace(b"e:Envelope", b"e:Letter")),
    "large": _in_bytes(lambda content: content.replace(b"<e:Body>", b"<e:Body><!--" + b"x" * 40_000 + b"-->")),
}  # fmt: skip
