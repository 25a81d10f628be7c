"""Runs a benchmark and reads its document."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def run(name: str, *words: str) -> Any:  # JSON is of any type
    """Its figures; it must have found nothing wrong."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("COV")}  # it would be measured
    done = subprocess.run(
        [sys.executable, f"benchmarks/{name}.py", "--json", *words],
        cwd=ROOT,
        env=plain,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)
