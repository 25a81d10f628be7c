"""The figures of `benchmarks/cluster.py`: why a run failed, and what is printed of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

FAIL_OVER: Final = 10.0
"""Seconds within which very many contacts are to be live again."""
ADDED: Final = 5.0
"""Milliseconds by which an event is to come later at a follower than at the owner, median."""
SPEED_UP: Final = 2.5
"""How many times the queries of one process three replicas are to answer, on cores of their own."""
HAND_OVER: Final = "owner-ended"


def verdict(found: Mapping[str, Any], *, targets: bool = False) -> list[str]:
    """Why the run failed; nothing when it did not."""
    why = []
    counted = {
        "failovers": {
            "wrong_live_answers": "wrong live answers",
            "gaps": "events were missing in a stream",
            "repeated": "events came twice in a stream",
            "differing": "events were not the same at every replica",
            "late": "rounds did not end well",
        },
        "claims": {
            "doubled": "times somebody was claimed twice",
            "differing": "keys had two claims",
            "lost": "claims were lost",
        },
        "many": {"wrong": "contacts were live as of a moment before the owner was killed"},
        "latency": {"not_told": "changes were not told within ten seconds"},
        "rates": {"not_told": "events of the owner did not come at a follower"},
    }
    for part, words in counted.items():
        for key, meaning in words.items():
            value = found.get(part, {}).get(key, 0)
            if number := len(value) if isinstance(value, list) else value:
                why.append(f"{part}: {number} {meaning}")
    for part in ("failovers", "claims", "many", "beside"):
        ended = found.get(part, {})
        if any(ended.get("left_at_the_server", {}).values()):
            why.append(f"{part}: left at the server: {ended['left_at_the_server']}")
        if ended.get("bugs") or any(ended.get("exit_codes", ())):
            why.append(f"{part}: a process broke")
    return why + (missed(found) if targets else [])


def missed(found: Mapping[str, Any]) -> list[str]:
    """Targets that were measured and missed."""
    why = []
    stale = found.get("failovers", {}).get("causes", {}).get(HAND_OVER, {}).get("stale_rounds", 0)
    if stale:
        why.append(f"{stale} hand-overs with a stale answer")
    if "many" in found and (slowest := found["many"]["live_s"]["max"]) > FAIL_OVER:
        why.append(f"{found['many']['contacts']} contacts were live after {slowest} s, not {FAIL_OVER:g} s")
    if "latency" in found and (added := found["latency"]["added"]["p50_ms"]) > ADDED:
        why.append(f"a follower adds {added} ms, not {ADDED:g} ms")
    if "queries" in found and (ratio := found["queries"]["three_to_one_on_cores_of_their_own"]) < SPEED_UP:
        why.append(f"three replicas answer {ratio} times the queries of one, not {SPEED_UP:g} times")
    return why


def _s(times: Mapping[str, float]) -> str:
    return ", ".join(f"{times[name]:.2f}" for name in ("p50", "p99", "max"))


def tables(found: Mapping[str, Any]) -> list[str]:
    """The figures as Markdown, for docs/cluster.md."""
    lines: list[str] = []
    if "failovers" in found:
        part = found["failovers"]
        lines += [
            "| cause | times | one owner after, s (p50, p99, max) | all live everywhere after, s (p50, p99, max) | "
            "with a stale answer | stale for, s (p50, p99, max) |",
            "|---|---|---|---|---|---|",
        ]
        for name, cause in part["causes"].items():
            cells = [name.replace("-", " "), str(cause["rounds"])]
            cells += [_s(cause["owner_s"]), _s(cause["live_s"])]
            cells += [str(cause["stale_rounds"]), _s(cause["stale_s"])]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    lines += ["| measured | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows(found))]
    return lines


def rows(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every figure that is not of a cause, in words."""
    lines: dict[str, object] = {}
    if part := found.get("failovers"):
        faults = sum(cause["rounds"] for cause in part["causes"].values())
        checked = f"{part['live_states_checked']:,} live states in {part['answers']:,} answers"
        lines[f"wrong `live`, of {checked} over {faults} faults"] = part["wrong_live_answers"]
        lines["left at the server in the end"] = sum(part["left_at_the_server"].values())
        streams = f"{part['events']:,} events in streams that were resumed {part['streams_resumed']} times"
        lines[f"missing, repeated, not the same everywhere, of {streams}"] = (
            f"{part['gaps']}, {part['repeated']}, {part['differing']}"
        )
        lines["streams that began anew with a snapshot, `not-kept`"] = part["snapshots"].get("not-kept", 0)
    if part := found.get("claims"):
        lines[f"claimed twice, of {part['granted']:,} claims with {part['kills']} kills of the owner"] = part["doubled"]
        lines["claims lost"] = len(part["lost"])
        lines["claims again after a kill, s (p50, p99, max)"] = _s(part["again_s"])
    if part := found.get("many"):
        what = f"{part['contacts']:,} contacts, owner killed {part['rounds']} times"
        lines[f"{what}: one owner after, s (p50, p99, max)"] = _s(part["owner_s"])
        lines[f"{what}: all live at both others after, s (p50, p99, max)"] = _s(part["live_s"])
        lines["bytes of a contact in the engine"] = part["engine"]["bytes_per_contact"]
        lines["bytes of an entry of the log"] = part["engine"]["bytes_per_log_entry"]
    if part := found.get("latency"):
        for name, words in {
            "alone": "one process without replicas",
            "owner": "the owner",
            "follower": "a follower",
        }.items():
            lines[f"change to event, {words}, ms (p50, p99)"] = _ms(part[name])
        lines["added by a follower, ms (p50, p99)"] = _ms(part["added"])
        lines["owner, follower to one process, p50"] = f"{part['owner_to_alone']}, {part['follower_to_alone']}"
    if part := found.get("rates"):
        lines[f"events a second with no follower a second behind (limit: {part['limit']})"] = part[
            "held_events_per_second"
        ]
        both = f"{part['owner_cpu_ms_per_event']}, {part['follower_cpu_ms_per_event']}"
        lines["CPU of one event at the owner, at a follower, ms"] = both
    if part := found.get("queries"):
        both = f"{part['one_per_second']:,}, {part['three_per_second']:,}"
        lines[f"queries a second, {part['cores']} cores for all: one process, three replicas"] = both
        each = ", ".join(map(str, part["replica_cpu_ms"]))
        lines["CPU of a query, ms: one process; each replica by itself"] = f"{part['one_cpu_ms']}; {each}"
        ratio = part["three_to_one_on_cores_of_their_own"]
        lines["so three replicas on cores of their own answer, times one process"] = ratio
    for name, part in found.get("single", {}).items():
        both = f"{part['here_us']}, {part['other_us']}, {part['ratio']}, {part['ratio_of_least']}"
        lines[f"without replicas, CPU of a {name}, us: here, the other checkout; ratio, of the least"] = both
    return [(words, str(value)) for words, value in lines.items()]


def _ms(times: Mapping[str, float]) -> str:
    return f"{times['p50_ms']}, {times['p99_ms']}"


def show(found: Mapping[str, Any]) -> None:
    """The figures for people."""
    if "failovers" in found:
        head = ("one owner", "all live", "stale")
        print(f"{'cause':18} {'times':>5}  " + "  ".join(f"{words + ', s: p50, p99, max':>26}" for words in head))
        for name, cause in found["failovers"]["causes"].items():
            times = [_s(cause[key]) for key in ("owner_s", "live_s", "stale_s")]
            print(f"{name:18} {cause['rounds']:5}  " + "  ".join(f"{each:>26}" for each in times))
        print()
    for words, value in rows(found):
        print(f"{words}: {value}")
    print(f"{found['seconds']:.0f} s, seed {found['load']['seed']}")
    for part in ("failovers", "claims", "many", "beside"):
        for name in (
            "wrong",
            "late",
            "gaps_found",
            "repeated_found",
            "differing_found",
            "doubled_found",
            "lost",
            "bugs",
        ):
            for each in found.get(part, {}).get(name, ()):
                print(f"  {part}, {name.replace('_found', '')}: {each}")
