"""Alert rules and the dashboard ask for what there is; each alert has its tests and its paragraph in the docs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from service.metrics import table
from service.metrics.table import MetricKind
from tests.support.figures import ROOT, documented

PROMETHEUS: Final = ROOT / "deploy" / "prometheus"
RULES: Final = PROMETHEUS / "pws-alerts.yml"
TESTS: Final = PROMETHEUS / "pws-alerts.test.yml"
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "pws-presence.json"
SCRAPED: Final = {"instance", "job", "le"}
"""Labels that Prometheus adds, and that of a histogram's buckets."""
_SELECTOR: Final = re.compile(r"\b((?:pws|process)_\w+)(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
_BY: Final = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's prometheus (promtool)")


def series() -> dict[str, set[str]]:
    """The labels of every series that is exposed, by its name in queries."""
    found: dict[str, set[str]] = {each.figure.name: set(each.labels) for each in documented()}
    for metric in table.ALL:
        if metric.kind is MetricKind.HISTOGRAM:
            del found[metric.name]
            found |= {f"{metric.name}_{part}": set(metric.labels) for part in ("bucket", "sum", "count")}
    return found


def objects(value: Any) -> Iterator[dict[str, Any]]:  # JSON is of any type
    """All objects in a piece of JSON, from the outside in."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from objects(each)


def dashboard() -> dict[str, Any]:  # JSON is of any type
    found: dict[str, Any] = json.loads(DASHBOARD.read_text("utf-8"))
    return found


def queries_of_the_dashboard() -> list[str]:
    """With a value for each of its variables."""
    texts = [each["expr"] for each in objects(dashboard()) if "expr" in each]
    return [text.replace("$__rate_interval", "5m").replace("$instance", ".*") for text in texts]


def alerts() -> dict[str, str]:
    """The queries of the alerts by their names."""
    text = RULES.read_text("utf-8")
    found = re.findall(r"- alert: (\w+)\n\s+expr: (?:>-\n)?(.*?)\n\s+(?:for|labels):", text, re.DOTALL)
    assert len(found) == text.count("- alert:")
    return dict(found)


def queries() -> list[str]:
    return [*alerts().values(), *queries_of_the_dashboard()]


@pytest.mark.parametrize("query", queries())
def test_a_query_names_series_and_labels_that_there_are(query: str) -> None:
    known = series()
    asked = _SELECTOR.findall(query)
    assert asked, query
    assert {name for name, _ in asked} <= set(known)
    for name, matchers in asked:
        assert set(_MATCHER.findall(matchers)) <= known[name] | SCRAPED, name
    labels = set[str]().union(*(known[name] for name, _ in asked)) | SCRAPED
    grouped = {label.strip() for names in _BY.findall(query) for label in names.split(",")}
    assert grouped <= labels


def test_values_of_labels_in_queries_are_words_that_there_are() -> None:
    """Those of labels whose values are words of a fixed list."""
    words = set(re.findall(r"[\w-]+", " ".join(metric.help for metric in table.ALL)))
    words |= {"subscription.lost", "subscription.failed-over", "refused", "held"}  # of events, of failures
    for query in queries():
        for label, values in re.findall(r"(\w+)(?:=~|!~|!=|=)\"([^\"]*)\"", query):
            if label not in {"instance", "code"}:
                assert set(values.split("|")) <= words, query


def test_every_figure_is_looked_at_somewhere() -> None:
    """By an alert, or on the dashboard: one that nobody looks at is not worth its row."""
    asked = {name for query in queries() for name, _ in _SELECTOR.findall(query)}
    stems = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}
    assert {metric.name for metric in table.ALL} <= stems


def test_every_alert_has_its_paragraph_and_no_paragraph_is_left_over() -> None:
    """And each leads there."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    headings = re.findall(r"^### (Pws\w+)$", text, re.MULTILINE)
    assert headings == list(alerts())
    rules = RULES.read_text("utf-8")
    assert re.findall(r"runbook: docs/operations\.md#(\w+)", rules) == [name.lower() for name in alerts()]
    for paragraph in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        for part in ("**Means:**", "**Look at:**", "**Do:**"):
            assert paragraph.count(part) == 1, (paragraph[:40], part)


def test_every_alert_is_tried_as_it_fires_and_as_it_does_not() -> None:
    text = TESTS.read_text("utf-8")
    tried = re.findall(r"- expr: 'ALERTS{alertname=\"(\w+)\",.*}'\n +eval_time: \w+\n( +exp_samples:)?", text)
    assert sorted((name, bool(samples)) for name, samples in tried) == sorted(
        (name, fires) for name in alerts() for fires in (False, True)
    )


@needs_promtool
def test_the_rules_are_those_that_prometheus_takes() -> None:
    promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)


@needs_promtool
def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", TESTS)


@needs_promtool
def test_the_queries_of_the_dashboard_are_those_that_prometheus_takes(tmp_path: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries_of_the_dashboard())]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML
    promtool("check", "rules", file)


def promtool(*words: str | Path) -> None:
    """It finds nothing wrong."""
    done = subprocess.run(["promtool", *map(str, words)], capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, f"{done.stdout.decode()}{done.stderr.decode()}"


def test_the_panels_of_the_dashboard_have_their_places() -> None:
    """Each id once, none on top of another, each with a query and the data source that the reader chooses."""
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        columns, lines = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        cells = {(x, y) for x in columns for y in lines}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["targets"]
            assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
            references = [target["refId"] for target in panel["targets"]]
            assert len(set(references)) == len(references)
