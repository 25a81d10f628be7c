"""Five thousand rich documents in one reply: read whole, how fast, and how long the event loop is held.

    python benchmarks/rich.py [--contacts 5000] [--rounds 5] [--results-only] [--json]

In one process, without sockets: the simulator's own documents (every form of namespaces, with and without a person,
phones and meetings) in a SOAP reply, in each of the three carriers. The client reads them as for a
service, and `pws_soap.pidf` reads them alone; `lxml.etree.fromstring` on the same documents is the measure, since times
depend on the machine and ratios hardly do.

Exit code 1 when a document is lost or read wrongly, when the client takes more than `MOST` times as long as that, or
when it held the event loop for longer than `GAP` seconds. With --results-only times are printed and decide nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

from lxml import etree

if __package__ in {None, ""}:  # run as a file: the checkout is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pws_soap import pidf
from pws_soap.client import PwsClient
from pws_soap.memory import MemoryTransport
from pws_soap.models import Presence, Secret, Session, SessionKind
from pws_soap.server import presence as truth
from pws_soap.server.soap import pidf_writer as written
from pws_soap.simulator import Options

Carrier = Literal["elements", "cdata", "escaped"]
CARRIERS: Final[tuple[Carrier, ...]] = ("elements", "cdata", "escaped")
MOST: Final = 20.0
GAP: Final = 0.05
NODE: Final = "http://imp1.example.com:8082"

_CASES: Final[tuple[tuple[truth.State, tuple[str, ...]], ...]] = (
    (truth.State.AVAILABLE, ()),
    (truth.State.BUSY, ("on-the-phone",)),
    (truth.State.BUSY, ("meeting",)),
    (truth.State.AWAY, ()),
    (truth.State.DND, ()),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one carrier. Times in milliseconds; ratios to lxml on the same documents."""

    carrier: Carrier
    documents: int
    megabytes: float
    lxml_ms: float
    pidf_ms: float
    client_ms: float
    pidf_ratio: float
    client_ratio: float
    longest_gap_ms: float
    wrong: int

    def kept(self, *, results_only: bool) -> bool:
        """Whether the promise held: for the results, and unless `results_only` for the times as well."""
        quick = self.client_ratio <= MOST and self.longest_gap_ms <= 1000 * GAP
        return not self.wrong and (quick or results_only)


def people(contacts: int) -> list[truth.Presence]:
    """Who is in the reply, and how they are."""
    devices = (truth.Device("JabberWin", text=True), truth.Device("cmp-8001-162", audio=True, priority="0.8"))
    found = []
    for number in range(contacts):
        state, activities = _CASES[number % len(_CASES)]
        found.append(
            truth.Presence(
                f"p{number:05d}@example.com",
                state,
                f"Person {number} Ünïcode",
                activities,
                note="Back at <three> & four" if number % 4 == 0 else None,
                devices=devices,
                since=1_800_000_000.0,
            )
        )
    return found


def reply(documents: list[str], options: Options) -> bytes:
    """The reply of getSubscribedPresence."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        '<getSubscribedPresenceResponse xmlns="urn:cisco:cup:presence:soap"><presenceResponse>'
        f"<presenceType>RICH_PRESENCE</presenceType><richPresenceList>{written.carried(documents, options)}"
        "</richPresenceList></presenceResponse></getSubscribedPresenceResponse></e:Body></e:Envelope>"
    ).encode()


def best(work: Callable[[], object], rounds: int) -> float:
    """The shortest of several runs, in seconds."""
    times = []
    for _ in range(rounds):
        gc.collect()
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


async def _gaps(longest: list[float]) -> None:
    """Measures the longest time in which nothing else got a turn."""
    last = time.perf_counter()
    while True:
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest[0] = max(longest[0], now - last)
        last = now


async def _client(body: bytes, rounds: int) -> tuple[list[Presence], float, float]:
    """What the client reads, its shortest time, and the smallest of the longest gaps, both in seconds."""
    found: list[Presence] = []
    times, gaps = [], []
    session = Session("dispatcher", SessionKind.END_USER, NODE, Secret("key"))
    async with PwsClient(NODE, transport=MemoryTransport([body] * (rounds + 1))) as client:
        await client.get_subscribed_presence(session, 1, rich=True)  # loads the WSDL
        for _ in range(rounds):
            gc.collect()
            longest = [0.0]
            watching = asyncio.create_task(_gaps(longest))
            await asyncio.sleep(0)
            began = time.perf_counter()
            found = await client.get_subscribed_presence(session, 1, rich=True)
            times.append(time.perf_counter() - began)
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            gaps.append(longest[0])
    return found, min(times), min(gaps)


def wrong(found: list[Presence], expected: list[truth.Presence]) -> int:
    """How many contacts are missing, too many, or not as they are."""
    read = {each.contact: each for each in found}
    bad = abs(len(found) - len(expected))
    for person in expected:
        one = read.get(person.contact)
        bad += (
            one is None
            or one.problem is not None
            or one.state.value != person.state.value
            or one.on_the_phone is not ("on-the-phone" in person.activities)
            or one.in_meeting is not ("meeting" in person.activities)
            or one.display_name != person.display_name
            or one.note != person.note
            or len(one.devices) != 2
            or not pidf.explanation(one)
        )
    return bad


def measure(carrier: Carrier, contacts: int, rounds: int) -> Figures:
    """All figures of one carrier."""
    options = Options(rich_carrier=carrier, rich_namespaces="mixed", rich_person="mixed")
    expected = people(contacts)
    documents = [written.document(each, options) for each in expected]
    encoded = [each.encode() for each in documents]
    body = reply(documents, options)
    text = "\n".join(documents).encode()
    plain = best(lambda: [etree.fromstring(each) for each in encoded], rounds)
    alone = best(lambda: [pidf.to_presence(each) for each in pidf.read_list(text)], rounds)
    found, client, gap = asyncio.run(_client(body, rounds))
    return Figures(
        carrier,
        len(found),
        round(len(body) / 1e6, 1),
        round(plain * 1000, 1),
        round(alone * 1000, 1),
        round(client * 1000, 1),
        round(alone / plain, 1),
        round(client / plain, 1),
        round(gap * 1000, 1),
        wrong(found, expected),
    )


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Read thousands of rich documents in one reply.")
    parser.add_argument("--contacts", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--results-only", action="store_true", help="let times decide nothing")
    parser.add_argument("--json", action="store_true")
    wanted = parser.parse_args()
    found = [measure(carrier, wanted.contacts, wanted.rounds) for carrier in CARRIERS]
    kept = all(each.kept(results_only=wanted.results_only) for each in found)
    if wanted.json:
        print(json.dumps({"kept": kept, "carriers": [asdict(each) for each in found]}, indent=2))
        return not kept
    for each in found:
        print(
            f"{each.carrier}: {each.documents} documents, {each.megabytes} MB, {each.wrong} wrong; "
            f"lxml {each.lxml_ms} ms, pidf {each.pidf_ms} ms ({each.pidf_ratio}x), "
            f"client {each.client_ms} ms ({each.client_ratio}x); longest gap {each.longest_gap_ms} ms"
        )
    print("The promise held." if kept else "The promise did NOT hold.")
    return not kept


if __name__ == "__main__":
    sys.exit(main())
