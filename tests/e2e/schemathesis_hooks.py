"""What schemathesis has to be told: the data of an event is JSON, and its schema is that of what the JSON says."""

from __future__ import annotations

from typing import Any

import schemathesis

from tests.support.sse import Reader


@schemathesis.deserializer("text/event-stream")
def events(_context: object, response: Any) -> list[dict[str, Any]]:  # JSON, and schemathesis' own Response
    """The beginning of a stream as events, each as the description has it."""
    read = Reader().feed(response.content)
    return [{"event": event.name, "id": event.id, "data": event.data} for event in read if event.name != ":"]
