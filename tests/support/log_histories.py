"""Random histories of contacts, feeds, claims and time, for whatever must hold after any of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from service.core.clock import Moment
from service.core.presence.boundaries import SLACK
from service.core.presence.records import ReadingStart, Source
from tests.support.bare_service import AVAILABLE, AWAY, BUSY, presence
from tests.support.followed_log import ANN, BOB, CID, FEED, FollowedLog

OTHER = "supervisor"
FEEDS = st.sampled_from([FEED, OTHER])
WHO = st.sampled_from([ANN, BOB, CID])
SOME = st.one_of(st.none(), st.integers(-5, 90))
TIMES = [
    0.0,
    SLACK / 2,
    SLACK,
    0.1,
    1.0,
    4.9999999,
    5.0,
    19.9995,
    20.0,
    29.9,
    30.0,
    40.0,
    60.0,
    60.1,
    99.9,
    100.0,
    300.0,
]
STEPS = st.one_of(
    st.tuples(st.just("read"), WHO, st.sampled_from([AVAILABLE, BUSY, AWAY]), st.booleans(), SOME, SOME),
    st.tuples(st.just("overlap"), WHO, st.sampled_from([AVAILABLE, BUSY])),
    st.tuples(st.just("early"), WHO, st.sampled_from([1.0, 50.0])),
    st.tuples(st.just("garble"), WHO),
    st.tuples(st.just("confirm"), FEEDS, st.sampled_from([0.0, 0.0, -50.0, -150.0, 30.0])),
    st.tuples(st.just("limit"), FEEDS, st.sampled_from([None, 20.0, 40.0])),
    st.tuples(st.just("doubt"), FEEDS, st.sampled_from([0.0, 40.0])),
    st.tuples(st.just("trust"), FEEDS, st.booleans()),
    st.tuples(st.just("doubt contact"), WHO),
    st.tuples(st.just("watch"), WHO, FEEDS),
    st.tuples(st.just("unwatch"), WHO),
    st.tuples(st.just("lapse")),
    st.tuples(st.just("hold"), WHO, st.sampled_from([1.0, 30.0])),
    st.tuples(st.just("release"), WHO),
    st.tuples(st.just("touch"), WHO),
    st.tuples(st.just("catch up"), st.frozensets(WHO)),
    st.tuples(st.just("wait"), st.sampled_from(TIMES)),
    st.tuples(st.just("wait"), st.sampled_from(TIMES)),
)


def carry_out(followed: FollowedLog, step: Any) -> None:  # of STEPS
    """Have one thing happen."""
    store, log, clock = followed.store, followed.log, followed.clock
    match step:
        case ("read", who, state, calls, idle, lasts):
            now = datetime.fromtimestamp(clock.now(), UTC)
            since = None if idle is None else now - timedelta(seconds=idle)
            until = None if lasts is None else now + timedelta(seconds=lasts)
            rest = {"idle": idle is not None, "idle_since": since, "valid_until": until}
            store.put([presence(who, state, on_the_phone=calls, **rest)], store.begin(), source=Source.SUBSCRIBED)
        case ("overlap", who, state):
            early = store.begin()
            store.put([presence(who, AWAY)], store.begin(), source=Source.POLLED)
            store.put([presence(who, state)], early, source=Source.SUBSCRIBED)
        case ("early", who, seconds):
            store.put([presence(who, BUSY)], began(followed, seconds), source=Source.POLLED)
        case ("garble", who):
            store.put([presence(who, problem="not XML")], store.begin(), source=Source.POLLED)
        case ("confirm", feed, seconds):
            store.confirm(feed, began(followed, seconds))
        case ("limit", feed, bound):
            store.limit(feed, bound)
        case ("doubt", feed, ago):
            store.doubt(feed, "lost", Moment(clock.monotonic() - ago, clock.now() - ago))
        case ("trust", feed, anew):
            store.trust(feed, anew=store.begin() if anew else None)
        case ("doubt contact", who):
            store.doubt_contacts([who], "a reply was lost")
        case ("watch", who, feed):
            store.watch([who], feed)
        case ("unwatch", who):
            store.unwatch([who])
        case ("lapse",):
            store.lapse()
        case ("hold", who, seconds):
            followed.claims.hold(who, seconds)
        case ("release", who):
            followed.claims.release(who)
        case ("touch", who):
            log.touch([who])
        case ("catch up", some):
            log.catch_up(some)
        case ("wait", seconds):
            clock.advance(seconds)


def began(followed: FollowedLog, seconds: float) -> ReadingStart:
    """A reading that began some seconds from now, by the clock of the one who says so."""
    reading = followed.store.begin()
    return ReadingStart(reading.order, Moment(reading.at.monotonic + seconds, reading.at.wall + seconds))
