"""Fuzzing of the PIDF reader, guided by coverage: minutes, outside the normal tests.

    pip install atheris
    python tests/pidf/fuzz.py -max_total_time=300 CORPUS_DIR tests/data/pidf

atheris mutates the documents of the last directory and keeps what reaches new code in the first. A finding is anything
but a reading or a PidfError, and an input that takes more than a second.
"""

from __future__ import annotations

import importlib
import sys
import time
from datetime import UTC, datetime

from pws_soap.pidf import PidfError, explain, read_document, read_list, to_presence
from pws_soap.pidf.writer import check

SECONDS = 1.0
NOW = datetime(2026, 5, 30, 10, tzinfo=UTC)
KNOWN = b'<presence entity="sip:known@example.com"><person><busy/></person></presence>'


def one_input(data: bytes) -> None:
    """What must hold for any bytes."""
    started = time.perf_counter()
    for reading in read_list(data, NOW):
        if not explain(reading) or not isinstance(to_presence(reading).contact, str):
            raise AssertionError(reading)
    for read in (read_document, lambda content: check(content, override=False)):
        try:
            read(data)
        except ValueError as error:  # ArgumentError of the check is one too
            if not (isinstance(error, PidfError) or hasattr(error, "argument")):
                raise
    if not any(reading.contact == "known@example.com" for reading in read_list(KNOWN + data)):
        raise AssertionError("a document before the input was lost")
    if time.perf_counter() - started > SECONDS:
        raise AssertionError(f"took more than {SECONDS} s")


def main() -> None:
    """Runs until libFuzzer's own options say stop."""
    atheris = importlib.import_module("atheris")  # wanted here only, and not a dependency of the tests
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
