"""Text that a terminal may be given: what comes from the server, a contact, a file or a request is data.

Nothing in it may be obeyed: no control character, and none that changes the direction of text, so that a name cannot
look like another.
"""

from __future__ import annotations

import json
import sys

from service.logs.printable import harmless_json as harmless_json
from service.logs.printable import printable as printable


def json_text(value: object, *, indent: int | None = None) -> str:
    """JSON in which no character is raw that a terminal would obey: of these JSON itself escapes only the first 32.

    What the encoding of standard output does not have is escaped too: a replacement would change the value.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, indent=indent, ensure_ascii=False, separators=separators)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent, separators=separators)
    return harmless_json(text)
