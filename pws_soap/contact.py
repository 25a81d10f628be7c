"""Contact URIs: which spellings name the same contact (protocol section 2; RFC 3261 sections 19.1.1 and 19.1.4).

A contact is a user at a host. The server takes and gives `user@host`, and what stands around that varies with the
writer: a scheme (`sip:`, `pres:` of RFC 3859, `im:` of RFC 3860), a display name and angle brackets, a password, a
port, parameters, headers, a resource, percent-escapes, another case, another Unicode form, `xn--`. Four functions
decide what that means:

- `sent_contact`: the spelling that is sent to the server,
- `is_contact`: whether a text can be sent to the server as a contact,
- `bare_contact`: `user@host` without all that surrounds it, in the writer's case, to show,
- `same_contact`: the form under which contacts are compared. Two spellings of one contact have the same form, two
  contacts never do.

The user ends at the last `@` before the parameters, so that it may be an e-mail address
(`user@mail.example@im.example`) and may hold `;`, `?` and `/` (`+49123;phone-context=example.com@host`). RFC 3261
compares users with regard to case; the server does not (protocol section 2), so neither do we. Ports and parameters,
which RFC 3261 compares, are ignored: they name a way to the contact, not another contact.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final, Literal

MAX_CONTACT_LENGTH: Final = 320
"""Longest contact URI: 64 characters of user, `@`, 255 of domain (RFC 5321 section 4.5.3.1)."""
_MAX_PARSED: Final = 4096
"""Longest text that is taken apart, in characters; a longer one is no contact, and is compared as it stands."""
_MAX_CACHED: Final = 512
"""Longest text whose form is kept in the cache."""
_CACHE: Final = 32_768
"""Texts whose forms are kept: several spellings of all contacts of a large service, in about 10 MB."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=?/-]+@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
"""The form of nearly all contacts; only their case can vary, unless a label begins with `xn--`."""
_NAMED: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^"<>])*<([^<>]*)>\s*(?:;[^<>]*)?', re.DOTALL)
"""A name-addr (RFC 3261 section 25.1): perhaps a display name, the URI in angle brackets, parameters of a header."""
_SCHEME: Final = re.compile(r"(?:sips?|pres|im|xmpp|mailto):\s*", re.IGNORECASE)
_SCHEMES: Final = re.compile(rf"^(?:{_SCHEME.pattern})+", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"([^@]*(?:@[^@;?/]*(?=@))*)@([^@;?/]*)(?:[;?/].*)?", re.DOTALL)
"""The userinfo and the hostport; parameters, headers or a resource may follow, and these alone may hold another `@`."""
_PASSWORD: Final = re.compile(r"([^:]*):[^:;?/@\s]*")
_ESCAPES: Final = re.compile(r"((?:%[0-9A-Fa-f]{2})+)")
_PORT: Final = re.compile(r"(.*):[0-9]*", re.DOTALL)

# Reserved characters are escaped in our output, so that it parses to the same contact.
_UNSAFE: Final = r':<>"\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff'
"""Characters that are always escaped: separators, white space, and invisible ones (control, direction)."""
_PERCENT: Final = "%(?=[0-9A-Fa-f]{2})"
_IN_USER: Final = re.compile(rf"{_PERCENT}|[{_UNSAFE}]")
_IN_REST: Final = re.compile(rf"{_PERCENT}|[{_UNSAFE};?/]")
_IN_HOST: Final = re.compile(rf"{_PERCENT}|[{_UNSAFE};?/@]")

_CONTACT: Final = re.compile(
    r"""[^\s@:<>"\\\#]+(?:@[^\s@:;?/<>"\\\#]+)*   # a user, perhaps an e-mail address
        @(?:\[[0-9A-Fa-f:.]+\]|[^\s@<>"'&,;:/\\?\#]+)
        (?::[0-9]{1,5})?""",
    re.VERBOSE,
)
_WINDOWS: Final = {
    0xDC00 + octet: bytes((octet,)).decode("cp1252" if octet not in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else "latin-1")
    for octet in range(0x80, 0x100)
}
"""What Windows-1252 (and Latin-1, where it has nothing) makes of the bytes that `surrogateescape` sets aside."""
_SET_ASIDE: Final = re.compile("[\udc80-\udcff]+")


def is_contact(text: str) -> bool:
    """Whether `text` is a contact URI as the server takes it: `user@host`, without `sip:` (protocol section 2).

    The user may be an e-mail address and hold all that RFC 3261 section 25.1 allows in one; a port may follow the
    host. White space, control characters and characters that change the direction of text are refused, also escaped.
    """
    if len(text) > MAX_CONTACT_LENGTH or not text.isprintable() or _CONTACT.fullmatch(text) is None:
        return False
    if "%" not in text and text.isascii():
        return True
    form = same_contact(text)
    plain = _unescaped(form)
    return _CONTACT.fullmatch(form) is not None and plain.isprintable() and not any(map(str.isspace, plain))


def same_contact(text: str) -> str:
    """The form under which contact URIs are compared: equal for all spellings of one contact, and only for these.

    The form is a spelling of that contact too, so that `same_contact` of it is itself. Raises nothing; a text that
    names no contact is compared without a scheme around it and without regard to case.
    """
    return _cached(text) if len(text) <= _MAX_CACHED else _same(text)


def bare_contact(text: str) -> str:
    """`user@host` of a contact in any spelling: as it is written, without what `same_contact` ignores around it."""
    stripped = without_scheme(text)
    if _PLAIN.fullmatch(stripped):
        return stripped
    stripped = text.strip()
    if len(stripped) > _MAX_PARSED:
        return stripped
    user, host = _parts(_normal(stripped, "NFC"))
    return user if host is None else _joined(user, host)


def sent_contact(text: str) -> str:
    """The spelling that the server is sent: it knows a contact as `user@host`, and any other spelling as nobody.

    A contact as it is written, in the writer's case, but without what `same_contact` ignores around it. What is no
    contact, or is perhaps several (`a@b;c@d`), comes back as it is, without a scheme: `is_contact` refuses it.
    """
    stripped = without_scheme(text)
    if _PLAIN.fullmatch(stripped) and is_contact(stripped):
        return stripped
    form, bare = same_contact(text), bare_contact(text)
    if bare.isascii() or bare.casefold() == form:
        form = bare  # a domain stays `xn--`, and letters keep their case
    guessed = form.count("@") < stripped.count("@") or ("%" in form and "%" not in stripped)
    return stripped if guessed else form


def without_scheme(text: str) -> str:
    """The text without white space and without a scheme before it, else as it is."""
    text = text.strip()
    scheme = _SCHEME.match(text)
    return text if scheme is None else text[scheme.end() :]


def decoded(octets: bytes) -> str:
    """Text from bytes that should be UTF-8; a byte that is not becomes the character that Windows-1252 gives it.

    Old programs write Latin-1, of which Windows-1252 is what they mean. Raises nothing.
    """
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return windows_1252(octets.decode("utf-8", "surrogateescape"))


def windows_1252(text: str) -> str:
    """The text with the bytes that `surrogateescape` set aside as the characters of Windows-1252."""
    return _SET_ASIDE.sub(lambda found: found[0].translate(_WINDOWS), text)


def _same(text: str) -> str:
    if _PLAIN.fullmatch(text):
        lowered = text.lower()
        if "xn--" not in lowered:
            return text if text == lowered else lowered  # one text in memory where there can be one
    stripped = text.strip()
    if len(stripped) > _MAX_PARSED:
        return stripped
    user, host = _parts(_normal(stripped, "NFKC"))
    form = _folded(user, _user_case) if host is None else _joined(_folded(user, _user_case), _same_host(host))
    return form if len(form) <= _MAX_PARSED else stripped


_cached = lru_cache(maxsize=_CACHE)(_same)


def _parts(text: str) -> tuple[str, str | None]:
    """User and host, without escapes; the host is None where there is no `@`."""
    named = _NAMED.fullmatch(text) if ">" in text else None
    if named is not None:
        text = named[1].strip()
    if "@" not in text and "%40" in text:  # the URI as a whole was escaped
        text = _unescaped(text).strip()
    address = _ADDRESS.fullmatch(without_scheme(text))
    if address is None:
        return _SCHEMES.sub("", text, count=1), None
    user, host = address.groups()
    with_password = _PASSWORD.fullmatch(user)
    return _unescaped(user if with_password is None else with_password[1]), _bare_host(host)


def _bare_host(hostport: str) -> str:
    """The host as it is written, without port, final dot and escapes; an IPv6 address in brackets."""
    with_port = _PORT.fullmatch(hostport)
    if with_port is not None and (":" not in with_port[1] or with_port[1].lower().endswith(("]", "%5d"))):
        hostport = with_port[1]
    host = _without_final_dot(_unescaped(hostport))
    return f"[{host}]" if host.count(":") > 1 and host[0] != "[" and _ipv6(host) is not None else host


def _without_final_dot(host: str) -> str:
    return host.rstrip(" \t\r\n.") or host


def _same_host(host: str) -> str:
    host = _folded(host, str.lower)
    address = _ipv6(host[1:-1]) if host.startswith("[") and host.endswith("]") else None
    if address is not None:
        return f"[{_spelled(address)}]"
    if not host.isascii():
        host = _without_final_dot(host.replace("\N{IDEOGRAPHIC FULL STOP}", "."))
    return ".".join(map(_same_label, host.split("."))) if "xn--" in host else host


def _same_label(label: str) -> str:
    """A label in Unicode: an A-label (RFC 5890) as its U-label, when it is one; any other as it is."""
    if not label.startswith("xn--") or not label.isascii() or len(label) > 63:
        return label
    try:
        name = label[4:].encode("ascii").decode("punycode")
        good = not name.isascii() and name.isprintable() and name.encode("punycode").decode("ascii") == label[4:]
    except (ValueError, OverflowError):  # no punycode
        return label
    return name if good and "." not in name and _folded(name, str.lower) == name else label


def _ipv6(text: str) -> IPv6Address | None:
    try:
        return IPv6Address(text)
    except AddressValueError:
        return None


def _spelled(address: IPv6Address) -> str:
    """The address as RFC 5952 has it, with no part in the form of IPv4: Python 3.13 writes `::ffff:192.0.2.1`."""
    if address.ipv4_mapped is None:
        return str(address)
    number = int(address.ipv4_mapped)
    scope = f"%{address.scope_id}" if address.scope_id is not None else ""
    return f"::ffff:{number >> 16:x}:{number & 0xFFFF:x}{scope}"


def _user_case(char: str) -> str:
    """A character without regard to case. One that case folding expands to two stays: user `weiß` is not `weiss`."""
    folded = char.casefold()
    return folded if len(folded) == 1 else char.lower()


def _folded(text: str, case: Callable[[str], str]) -> str:
    """The text without regard to case and to compatible forms of a character (NFKC)."""
    if text.isascii():
        return text.lower()
    for _ in range(4):  # a folded character may have another normal form, and the other way round
        folded = unicodedata.normalize("NFKC", "".join(map(case, unicodedata.normalize("NFKC", text))))
        if folded == text:
            break
        text = folded
    return text


def _normal(text: str, form: Literal["NFC", "NFKC"]) -> str:
    """The text in a Unicode form; in NFKC, signs such as a full-width `@` separate too. Escapes are no letters yet."""
    if text.isascii():
        return text
    pieces = _ESCAPES.split(text)  # texts and escapes in turn
    pieces[::2] = [unicodedata.normalize(form, piece) for piece in pieces[::2]]
    return "".join(pieces).strip()


def _unescaped(text: str) -> str:
    """The text with each run of percent-escapes as the UTF-8 that it is, else as Latin-1."""
    return _ESCAPES.sub(lambda run: decoded(bytes.fromhex(run[0].replace("%", ""))), text) if "%" in text else text


def _joined(user: str, host: str) -> str:
    """`user@host`, reserved characters escaped where they would be read as something else."""
    first, at, rest = user.partition("@")
    user = _IN_USER.sub(_escaped, first) + at + _IN_REST.sub(_escaped, rest)
    if not (host.startswith("[") and host.endswith("]") and _ipv6(host[1:-1]) is not None and "%" not in host):
        host = _IN_HOST.sub(_escaped, host)
    return f"{user}@{host}"


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{octet:02x}" for octet in found[0].encode())
