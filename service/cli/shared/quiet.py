"""Ending without a trace: what a server that is told to stop has still under way is no error worth a traceback."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quietly() -> Iterator[None]:
    """Without uvicorn's traces of the requests that are cut off at the end."""
    logger = logging.getLogger("uvicorn.error")
    logger.addFilter(_is_worth_telling)
    try:
        yield
    finally:
        logger.removeFilter(_is_worth_telling)


@contextmanager
def without_logs() -> Iterator[None]:
    """Without the log lines that Python writes to standard error where no handler is configured."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _is_worth_telling(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
