"""For all tests: Hypothesis judges what an example does, never how long it takes to run or to be made."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("pws", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pws")
