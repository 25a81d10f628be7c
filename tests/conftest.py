"""For all tests: Hypothesis judges what an example does, never how long it takes."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("pws", deadline=None)
settings.load_profile("pws")
