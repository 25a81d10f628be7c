"""Keeps logs off the terminal: tracebacks of requests that a stop cuts off, and logs that nobody configured."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quietly() -> Iterator[None]:
    """Drop uvicorn's tracebacks of requests that are cut off at the end."""
    logger = logging.getLogger("uvicorn.error")
    logger.addFilter(_is_worth_telling)
    try:
        yield
    finally:
        logger.removeFilter(_is_worth_telling)


@contextmanager
def without_logs() -> Iterator[None]:
    """Drop the log lines that Python writes to standard error where no handler is configured."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def _is_worth_telling(record: logging.LogRecord) -> bool:
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))
