"""What Hypothesis draws in `.ci/run` depends on its seed alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DRAWS = """
import sys

from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.support import examples

examples.draw_the_same()


@seed(0)
@settings(max_examples=100, database=None)
@given(st.integers(), st.text(max_size=20))
def draw(number, text):
    print(number, ascii(text))


if sys.argv[1:]:
    import words_of_ours
draw()
"""


def drawn(folder: Path, *words: str) -> list[str]:
    (folder / "draws.py").write_text(DRAWS)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, folder / "draws.py", *words], env=environment, capture_output=True, check=True
    )
    return done.stdout.decode().splitlines()


def test_the_same_is_drawn_whatever_modules_are_loaded(tmp_path: Path) -> None:
    """Hypothesis would draw the constants of any module that is no library."""
    (tmp_path / "words_of_ours.py").write_text(
        f"NUMBERS = {list(range(1000, 1200))}\nWORDS = ['one', 'two', 'three']\n"
    )
    found = drawn(tmp_path)
    assert len(found) > 90
    assert drawn(tmp_path, "words") == found
