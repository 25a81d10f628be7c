"""The benchmark of rich documents, as somebody calls it, with few of them."""

from __future__ import annotations

import pytest

from tests.benchmarks.running import run


@pytest.mark.long(ci=True)
def test_every_carrier_is_read_whole() -> None:
    """Nothing is lost or read wrongly, in any form that the simulator writes."""
    found = run("rich", "--contacts", "300", "--rounds", "1", "--results-only")
    assert found["kept"] is True
    assert [each["carrier"] for each in found["carriers"]] == ["elements", "cdata", "escaped"]
    assert {(each["documents"], each["wrong"]) for each in found["carriers"]} == {(300, 0)}
