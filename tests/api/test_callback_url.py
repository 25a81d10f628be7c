"""The callback's address: whatever is registered is answered, with a proxy in between that takes the prefix or not."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from pws_soap.arguments import endpoint_url
from pws_soap.models import Secret
from service.api.app import create_app
from service.api.middleware.limits import MAX_BODY
from service.api.routes.callback import Callback, alone
from service.config.addresses import callback_url as configured
from service.core import callback_url
from service.core.clock import ManualClock
from tests.support.asgi import call
from tests.support.bare_service import SECRET, BareService
from tests.support.examples import examples
from tests.support.fake_engine import FakeEngine

NODE = "https://imp1.example.com:8083"
TOKEN = callback_url.token_of(NODE)
QUERY = "?id=5&eventType=PRESENCE_NOTIFICATION"


@pytest.mark.parametrize(
    ("base", "registered"),
    [
        ("http://h:8080", "http://h:8080/pws/SECRET/TOKEN"),
        ("http://h:8080/", "http://h:8080/pws/SECRET/TOKEN"),
        ("http://h:8080/pws", "http://h:8080/pws/pws/SECRET/TOKEN"),
        ("http://h:8080/pws//", "http://h:8080/pws/pws/SECRET/TOKEN"),
        ("https://[2001:db8::1]/a/b/c/", "https://[2001:db8::1]/a/b/c/pws/SECRET/TOKEN"),
        ("http://h/a%20b", "http://h/a%20b/pws/SECRET/TOKEN"),
    ],
)
def test_the_path_of_the_url_is_a_prefix(base: str, registered: str) -> None:
    made = callback_url.address(configured(base), Secret(SECRET), NODE)
    assert made.reveal() == registered.replace("SECRET", SECRET).replace("TOKEN", TOKEN)
    assert SECRET not in repr(made)


def test_without_a_secret_the_url_is_registered_as_it_is() -> None:
    assert callback_url.address("http://h:8080/pws", None, NODE).reveal() == "http://h:8080/pws"


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("//pws", "no empty part"),
        ("/a//b", "no empty part"),
        ("/a/../b", "'.' or '..'"),
        ("/%2e%2E/b", "'.' or '..'"),
        ("/./b", "'.' or '..'"),
        ("/a%2fb", "no escaped slash"),
        ("/a%5Cb", "no escaped slash"),
        ("/a%zz", "write %25"),
        ("/100%", "write %25"),
        ("/a%0Ab", "no control characters"),
        ("/a%00", "no control characters"),
        ("/a%ff", "UTF-8"),
        ("/pws?", "no query"),
        ("/pws#", "no query"),
        ("/" + "a" * 1000, "at most "),
    ],
)
def test_a_path_that_is_not_read_alike_everywhere_is_refused(path: str, hint: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        configured(f"http://10.0.0.5:8080{path}")
    assert hint in str(caught.value.context)


SEGMENT = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="/\\") | st.just(" "), min_size=1, max_size=8
).filter(lambda text: text not in {".", ".."} and text.isprintable())
PREFIXES = st.lists(st.just("pws") | st.just("v1") | SEGMENT, max_size=4).map(
    lambda parts: "".join(f"/{quote(part, safe='')}" for part in parts)
)


@settings(max_examples=examples(25))
@given(prefix=PREFIXES, slashes=st.integers(0, 2), shared=st.booleans(), stripped=st.booleans())
async def test_what_is_registered_is_answered(prefix: str, slashes: int, shared: bool, stripped: bool) -> None:
    """By a listener of its own and beside the API; whether or not a proxy takes the prefix off."""
    base = configured(f"http://10.0.0.5:8080{prefix}{'/' * slashes}")
    registered = endpoint_url(callback_url.address(base, Secret(SECRET), NODE)).reveal()
    path = urlsplit(registered).path
    if stripped:
        path = path.removeprefix(prefix)
    engine = FakeEngine()
    secret, own = Secret(SECRET), callback_url.prefix_of(base)
    if shared:
        office = BareService()
        app = create_app(engine, office.core, callback_secret=secret, callback_prefix=own, version="1")
        answer = await call(app, "GET", f"{path}{QUERY}")
    else:
        answer = await call(alone(Callback(engine, secret, ManualClock(), prefix=own), MAX_BODY), "GET", path + QUERY)
    assert (answer.status, answer.body) == (200, b"")
    assert engine.notifications == [(5, TOKEN)]


@pytest.mark.parametrize("method", ["HEAD", "POST"])
async def test_behind_the_prefix_only_get_is_a_notification(method: str) -> None:
    """As without it: HEAD is not made GET, and no answer repeats the secret."""
    office = BareService()
    app = create_app(office.engine, office.core, callback_secret=Secret(SECRET), callback_prefix="/v1/a", version="1")
    answer = await call(app, method, f"/v1/a/pws/{SECRET}{QUERY}")
    assert answer.status == 405
    assert SECRET not in f"{answer.headers}{answer.body!r}"
    assert office.engine.notifications == []


@pytest.mark.parametrize(
    "path", ["/other/pws/{}", "/presence/x/pws/{}", "/presencepws/{}", "/presence/presence/pws/{}"]
)
async def test_another_prefix_is_no_callback_and_the_secret_is_not_repeated(path: str) -> None:
    office = BareService()
    app = create_app(
        office.engine, office.core, callback_secret=Secret(SECRET), callback_prefix="/presence", version="1"
    )
    answer = await call(app, "GET", path.format(SECRET) + QUERY)
    assert answer.status == 404
    assert office.engine.notifications == []
    assert SECRET not in f"{answer.body!r}" or "presencepws" in path
