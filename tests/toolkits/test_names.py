"""What the clients of `examples/soap/` are called to do by the environment."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples" / "soap"


def test_no_client_has_a_variable_that_a_command_of_ours_reads() -> None:
    """`PWS_...` are settings of `pws serve`, which stops at one that it does not know."""
    texts = {path.name: path.read_text() for path in FOLDER.iterdir() if path.is_file()}
    assert [(name, found) for name, text in texts.items() for found in re.findall(r"\bPWS_\w+", text)] == []
    assert {"SOAP_URL", "SOAP_USER", "SOAP_PASSWORD", "SOAP_END_USER", "SOAP_CALLBACK", "SOAP_VERSION"} <= set(
        re.findall(r"SOAP_[A-Z_]+", texts["README.md"])
    )
