"""A configuration for the tests of commands that reach no server."""

from __future__ import annotations

from pathlib import Path

from service.config import example_toml


def configure(directory: Path, node: str = "127.0.0.1:9") -> Path:
    """A configuration that loads, for a node where nothing is."""
    path = directory / "pws.toml"
    path.write_text(example_toml().replace('"imp1.example.com", "imp2.example.com"', f'"{node}"'), "utf-8")
    return path
