"""A contact is recognised however it is written, and two contacts are never taken for one."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from pws_soap import contact, envelope
from pws_soap.contact import (
    MAX_CONTACT_LENGTH,
    bare_contact,
    decoded,
    is_contact,
    same_contact,
    sent_contact,
    without_scheme,
)
from tests.soap.samples import basic
from tests.support.examples import examples

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
MARKS = "-_.!~*'()"
USER_UNRESERVED = "&=+$,;?/"
names = st.text(LETTERS + MARKS + USER_UNRESERVED + "äöüßéñ€Жλ漢", min_size=1, max_size=12)
labels = st.one_of(
    st.from_regex(r"[a-z0-9](-?[a-z0-9]){0,6}", fullmatch=True),
    st.text("abcäöüßéñжλ漢", min_size=1, max_size=6),
)
hosts = st.lists(labels, min_size=1, max_size=3).map(".".join)


@st.composite
def addresses(draw: st.DrawFn) -> tuple[str, str]:
    """A user, who may be an e-mail address, and a host, both in the form in which contacts are compared."""
    user = draw(names)
    if draw(st.booleans()):
        user = f"{user}@{draw(hosts)}"
    user = "".join(char.lower() for char in unicodedata.normalize("NFKC", user))
    return user, unicodedata.normalize("NFKC", draw(hosts)).lower()


SPELLINGS = [
    "ann@example.com",
    "sip:ann@example.com",
    "sips:ann@example.com",
    "pres:ann@example.com",
    "im:ann@example.com",
    "xmpp:ann@example.com/Jabber",
    "mailto:ann@example.com?subject=x@y",
    "SIP:ANN@EXAMPLE.COM",
    "sip: ann@example.com",
    "  ann@example.com\r\n",
    "ann@example.com.",
    "ann@example.com:5060",
    "ann@example.com.:5060",
    "ann@example.com;transport=tls",
    "sip:ann@example.com:5061;transport=tls;lr?subject=a%20b&to=bob@example.com",
    "ann@example.com/Jabber@home",
    "ann:secret@example.com",
    "sip:ann:se%40cret&=+$,@example.com:5060",
    "<ann@example.com>",
    "<sip:ann@example.com;lr>;tag=1928301774",
    "Ann Example <sip:ann@example.com>",
    '"Ann, the <great> \\"bob@example.org\\"" <sips:ann@example.com:5061>',
    "ann%40example.com",
    "sip%3Aann%40example.com",
    "%61n%6E@%65xample.com",
    "ann\N{FULLWIDTH COMMERCIAL AT}example\N{FULLWIDTH FULL STOP}com",
    "ann@example\N{IDEOGRAPHIC FULL STOP}com",
    "\N{MATHEMATICAL BOLD SMALL A}nn@example.com",
]


@pytest.mark.parametrize("text", SPELLINGS)
def test_every_spelling_is_the_plain_contact(text: str) -> None:
    """Whatever surrounds `user@host`, and however its characters are written."""
    assert same_contact(text) == "ann@example.com"


@pytest.mark.parametrize(
    ("texts", "form"),
    [
        (["jörg@example.com", "J\u00d6RG@example.com", "jo\u0308rg@example.com", "j%C3%B6rg@x", "j%f6rg@x"], "jörg@"),
        (["jo%CC%88rg@x", "j\N{FULLWIDTH LATIN SMALL LETTER O}\u0308rg@x"], "jörg@"),
        (["user%40mail.example@im.example", "USER@Mail.Example@im.example:5060"], "user@mail.example@"),
        (["user@mail.example:pw@im.example;x=y", "<sip:user@mail.example@im.example;x=y>"], "user@mail.example@"),
        (
            ["+49123;phone-context=example.com@gw", "sip:+49123%3Bphone-context=example.com@gw;user=phone"],
            "+49123;phon",
        ),
        (["o'neil&sons@x", "o%27neil%26sons@x"], "o'neil&sons@"),
        (["a?b/c;d,e=f+g$@x", "a%3fb%2fc%3bd%2ce%3df%2bg%24@x?h=1"], "a?b/c;d,e=f+g$@"),
        (["100%@x", "100%25@x"], "100%@"),
        (["a%2541@x", "a%25%34%31@x"], "a%2541@"),
        (["ΝΊΚΟΣ@x", "νίκος@x", "νίκοσ@x"], "νίκοσ@"),
    ],
)
def test_users_in_different_spellings(texts: list[str], form: str) -> None:
    """Escapes in UTF-8 or Latin-1, composed or not, in any case; e-mail addresses; telephone numbers."""
    forms = {same_contact(text).rpartition("@")[0] for text in texts}
    assert len(forms) == 1
    assert all(same_contact(text).startswith(form) for text in texts)


@pytest.mark.parametrize(
    ("host", "form"),
    [
        ("[2001:DB8:0:0:0:0:0:1]", "[2001:db8::1]"),
        ("[2001:0db8::0001]:5060;transport=tcp", "[2001:db8::1]"),
        ("2001:db8::1", "[2001:db8::1]"),
        ("%5B2001:db8::1%5D:5060", "[2001:db8::1]"),
        ("[::ffff:0:0]", "[::ffff:0:0]"),
        ("198.51.100.7:5060", "198.51.100.7"),
        ("XN--BCHER-KVA.Example", "bücher.example"),
        ("BÜCHER.example.", "bücher.example"),
        ("bu\u0308cher.example", "bücher.example"),
        ("b%c3%bccher.example", "bücher.example"),
        ("xn--strae-oqa.example", "straße.example"),
        ("xn--nxasmm1c.example", "βόλος.example"),
        ("xn--abc-.example", "xn--abc-.example"),
        ("xn--99999999.example", "xn--99999999.example"),
        ("xn--" + "a" * 60, "xn--" + "a" * 60),
        ("example.com:port", "example.com%3aport"),
    ],
)
def test_hosts_in_different_spellings(host: str, form: str) -> None:
    """IPv6 however it is compressed, domains in Unicode or not; what only looks like it stays what it is."""
    assert same_contact(f"sip:ann@{host}") == f"ann@{form}"
    assert same_contact(f"ann@{form}") == f"ann@{form}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ann@example.com", "ann@example.org"),
        ("ann@example.com", "anna@example.com"),
        ("ann%3apw@example.com", "ann@example.com"),  # an escaped colon is part of the user (RFC 3261 section 19.1.2)
        ("ann%2541@example.com", "annA@example.com"),  # unescaped once, not twice
        ("ann%20@example.com", "ann@example.com"),
        ("ann;x=y@example.com", "ann@example.com"),
        ("ann@mail.example@im.example", "ann@im.example"),
        ("ann@mail.example@im.example", "ann@mail.example"),
        ("ann%40a;b@example.com", "ann@a"),
        ("<ann@example.com>, <bob@example.com>", "ann@example.com"),
        ("weiß@example.com", "weiss@example.com"),
        ("ann@straße.example", "ann@strasse.example"),
        ("ann@xn--abc-.example", "ann@abc.example"),
        ("ann@[2001:db8::1]", "ann@[2001:db8::2]"),
        ("ann@[::ffff:192.0.2.1]", "ann@192.0.2.1"),
        ("ann@[fe80::1%25eth0]", "ann@[fe80::1%25eth1]"),
        ("http://ann@example.com", "http@example.com"),
        ("ann", "ann@"),
    ],
)
def test_different_contacts_are_never_equal(one: str, other: str) -> None:
    """Another user at the same host, or the same user at another host."""
    assert same_contact(one) != same_contact(other)


@given(addresses(), addresses())
@settings(deadline=None)
def test_plain_contacts_are_equal_only_to_themselves(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Users and hosts that differ in their compared form are different contacts."""
    folded = [
        (user.replace("\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK SMALL LETTER SIGMA}"), host)
        for user, host in (one, other)
    ]
    written = [f"{quote(user, safe='')}@{host}" for user, host in (one, other)]
    assert (same_contact(written[0]) == same_contact(written[1])) == (folded[0] == folded[1])


def _written(draw: st.DrawFn, text: str, must: str) -> str:
    """The text in another spelling; the characters `must` are always escaped."""
    text = unicodedata.normalize(draw(st.sampled_from(["NFC", "NFD"])), text.title() if draw(st.booleans()) else text)
    latin = all(ord(char) < 0x100 for char in text) and draw(st.booleans())
    all_of_it = draw(st.booleans())  # or nothing of it, so that a combining character stays beside its letter
    return "".join(
        "".join(f"%{octet:02{draw(st.sampled_from('xX'))}}" for octet in char.encode("latin-1" if latin else "utf-8"))
        if all_of_it or char in must or char == "%"
        else char
        for char in text
    )


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, str]:
    """A plain contact, and the same in a spelling of many parts."""
    user, host = draw(addresses())
    assume("ß" not in user + host)  # `title` makes two letters of it
    after_at = ";?/" if "@" in user else ""
    spelled = host
    if draw(st.booleans()) and not host.isascii():
        spelled = ".".join(
            label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in host.split(".")
        )
        assume(all(len(label) <= 63 for label in spelled.split(".")))
    text = _written(draw, user, after_at) + draw(st.sampled_from(["", ":", ":pw", ":p%40w"]))
    text += "@" + spelled + draw(st.sampled_from(["", "."])) + draw(st.sampled_from(["", ":5060"]))
    text += draw(st.sampled_from(["", ";transport=tls", ";lr?x=y", "?x=y", "/Jabber", ";a=b@c"]))
    scheme = draw(st.sampled_from(["", "sip:", "SIPS:", "pres:", "im:", "xmpp:", "mailto:"]))
    if scheme == "" and ":" in text.partition("@")[0] and contact._SCHEME.match(text):
        scheme = "sip:"  # a user `im` with a password needs one
    text = scheme + text
    name = draw(st.sampled_from([None, "", "Ann ", '"A @ <b>" ']))
    text = text if name is None else f"{name}<{text}>"
    return f"{quote(user, safe='@;?/' if '@' not in user else '@')}@{host}", draw(st.sampled_from(["", " "])) + text


@given(spellings())
@settings(deadline=None, max_examples=examples(300))
def test_decorated_contacts_equal_the_plain_one(pair: tuple[str, str]) -> None:
    """Any combination of what may surround a contact and of how its characters may be written."""
    plain, text = pair
    assert same_contact(text) == same_contact(plain)


hostile = st.one_of(
    st.text(max_size=60),
    st.text('aA@:;?/%<>[]"\\.4023e \u0301ö\u0308ß\u3002\ud800xn-', max_size=40),
    st.lists(
        st.sampled_from(
            ["sip:", "@", "%40", "%", "%3a", "xn--", "kva", "[::1]", ":5", ".", "<", ">", " ", "\u0338", "ⅸ"]
        ),
        max_size=12,
    ).map("".join),
)


@given(hostile)
@example("sip:sip:a@b")
@example("a%3a\u0301@b")
@example("a@[::1%o\u0308]")
@example("a@b\u2028.")
@example("0@<\u0338>")
@example("\N{FULLWIDTH LESS-THAN SIGN}a@b\N{FULLWIDTH GREATER-THAN SIGN}")
@example("\N{ANGSTROM SIGN}@x\N{KELVIN SIGN}")
@settings(deadline=None, max_examples=examples(500))
def test_the_form_is_its_own_form(text: str) -> None:
    """Whatever was given: nothing is raised, and the form reads as the same contact."""
    form = same_contact(text)
    assert same_contact(form) == form
    assert same_contact(bare_contact(text)) == form or not is_contact(form)
    assert is_contact(text) in (True, False)
    if is_contact(text):
        assert is_contact(form) or len(form) > MAX_CONTACT_LENGTH


@given(st.from_regex(contact._PLAIN, fullmatch=True))
@settings(deadline=None)
def test_the_short_way_gives_what_the_long_one_gives(text: str) -> None:
    """Most contacts are plain, and are not taken apart."""
    assert same_contact(f"<{text}>") == same_contact(text)
    assert same_contact(text) == text.lower() or "xn--" in text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "%" * 10_000_000,
        "%41" * 3_000_000 + "@x",
        "@" * 10_000_000,
        "<" * 10_000_000,
        '"' * 9_999_999 + "<a@b>",
        " " * 10_000_000 + "a@b",
        "sip:" * 2_500_000,
        '"\\' * 2000,
        "sip: " * 800,
        "@" * 4096,
        "@" * 4000 + ";@",
        ":" * 4000 + "@" + ":" * 90,
        "a@" + "." * 4000 + "x" + "." * 60,
        "a@xn--" + "9" * 4000,
        "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 4096,
        "\u0344" * 4096 + "@x",
    ],
)
def test_hostile_text_is_compared_and_no_contact(text: str) -> None:
    """Megabytes of what looks like something. Were it not linear, the run would not end."""
    form = same_contact(text)
    assert not is_contact(text)
    bare_contact(text)
    without_scheme(text)
    sent_contact(text)
    assert same_contact(form) == form


def test_a_form_that_would_grow_without_bound_is_not_kept() -> None:
    """The cache holds short texts and only so many of them."""
    before = contact._cached.cache_info().currsize
    same_contact("x" * 1000 + "@example.com")
    assert contact._cached.cache_info().currsize == before
    assert contact._cached.cache_info().maxsize == contact._CACHE


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("Ann <sip:Ann.Example@Example.COM:5060;lr>", "Ann.Example@Example.COM"),
        ("pres:j%C3%B6rg@B\u00fccher.example.", "jörg@Bücher.example"),
        ("ann@XN--bcher-kva.example", "ann@XN--bcher-kva.example"),
        ("ann@2001:DB8::1", "ann@[2001:DB8::1]"),
        ("a%3ab%20c@x", "a%3ab%20c@x"),
        ("%e2%80%ae%1b%00@x", "%e2%80%ae%1b%00@x"),
        ("ann", "ann"),
    ],
)
def test_a_bare_contact_keeps_its_writing(text: str, bare: str) -> None:
    """Its case; what would be misread or does not show stays escaped."""
    assert bare_contact(text) == bare
    assert same_contact(bare) == same_contact(text)


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("Ann@Example.com", "Ann@Example.com"),
        (" SIP:ann@example.com ", "ann@example.com"),
        ("ann@example.com:5060", "ann@example.com"),
        ("ann@example.com.", "ann@example.com"),
        ("a%6en@example.com", "ann@example.com"),
        ("\uff41nn\uff20example.com", "ann@example.com"),
        ("Ann <sip:ann@example.com>", "ann@example.com"),
        ("sips:ann@example.com;transport=tls", "ann@example.com"),
        ("ann@example.com/laptop", "ann@example.com"),
        ("user@mail.example@im.example", "user@mail.example@im.example"),
        ("+49123;phone-context=example.com@gw.example", "+49123;phone-context=example.com@gw.example"),
        ("ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"),
        ("J\u00f6rg@example.com", "J\u00f6rg@example.com"),
    ],
)
def test_the_server_is_sent_the_spelling_that_it_knows(text: str, sent: str) -> None:
    """Any other one it takes for somebody whom it does not know: UNKNOWN, as if that were the truth."""
    assert sent_contact(text) == sent
    assert sent_contact(sent) == sent
    assert is_contact(sent)
    assert same_contact(sent) == same_contact(text)


@pytest.mark.parametrize(
    "text",
    ["ann@a.example;joe@b.example", "ann@a.example, joe@b.example", '"ann"@example.com', "ann joe@example.com", "ann"],
)
def test_what_may_be_several_contacts_is_sent_as_none(text: str) -> None:
    """Of two contacts in one text the second must not be dropped as if it were a parameter."""
    assert sent_contact(text) == text
    assert not is_contact(text)


@pytest.mark.parametrize(
    "text",
    [
        "ann@example.com",
        "o'neil@example.com",
        "a&b@example.com",
        "a!b~c*d(e)f-g_h.i=j+k$l,m;n?o/p@example.com",
        "user@mail.example@im.example",
        "user%40mail.example@im.example",
        "+49123;phone-context=example.com@gw.example",
        "jörg@bücher.example",
        "ann@xn--bcher-kva.example",
        "ann@198.51.100.7",
        "ann@[2001:db8::1]",
        "ann@example.com:5060",
        "ann@localhost",
        "ann_x@my_host",
        "משה@example.com",
        "100%@example.com",
    ],
)
def test_what_the_server_can_take_is_a_contact(text: str) -> None:
    """All that RFC 3261 allows in a user, e-mail addresses, names in any script."""
    assert is_contact(text)
    assert without_scheme(f" SIP:{text} ") == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.com",
        "ann@",
        "ann@@example.com",
        "a b@example.com",
        "a%20b@example.com",
        "a\u00a0b@example.com",
        "ann@example.com\n",
        "a\x00b@example.com",
        "a%00b@example.com",
        "a\x85b@example.com",
        "a%c2%85b@example.com",
        "\u202eann@example.com",
        "ann@example\u200f.com",
        "a%e2%80%aeb@example.com",
        "a\u200bb@example.com",
        "a\ud800b@example.com",
        "sip:ann@example.com",
        "ann:pw@example.com",
        "http://ann@example.com",
        "<ann@example.com>",
        '"ann"@example.com',
        "ann@example.com;transport=tcp",
        "ann@example.com?x=y",
        "ann@example.com/Jabber",
        "ann@example.com:port",
        "ann@o'neil",
        "ann@[2001:db8::1",
        "a" * 320 + "@example.com",
    ],
)
def test_what_the_server_cannot_take_is_no_contact(text: str) -> None:
    """White space, control characters and marks of direction, escaped or not; and what surrounds a contact."""
    assert not is_contact(text)


def test_bytes_that_are_no_utf_8_are_windows_1252() -> None:
    """Latin-1 where that has nothing; valid UTF-8 beside them stays."""
    assert decoded(b"j\xf6rg \x80 \x81 \xc3\xb6") == "jörg € \x81 ö"
    assert decoded(bytes(range(0x80, 0x100))).isprintable() is False
    assert decoded("漢".encode()) == "漢"


def test_a_contact_in_latin_1_is_recognised_in_a_reply() -> None:
    """The reply claims to be UTF-8, and one contact in it is not."""
    body = basic([("ann@example.com", "BUSY"), ("jXrg@example.com", "AWAY")]).replace(b"X", b"\xf6")
    uris = [str(node.get("contactURI")) for node in envelope.parse(body).iter("{*}contact")]
    assert list(map(same_contact, uris)) == ["ann@example.com", same_contact("J%C3%96RG@example.com")]
