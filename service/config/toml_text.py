"""Values as TOML writes them, for the example, the reference and `pws config show`."""

from __future__ import annotations

import json

from pws_soap.models import Secret

HIDDEN = "(hidden)"
"""What stands in place of a secret; no TOML, so that nobody takes it for a value."""


def is_hidden(value: object) -> bool:
    """Whether a value is a secret, or several."""
    return isinstance(value, Secret) or (isinstance(value, tuple) and any(isinstance(each, Secret) for each in value))


def toml_text(value: object) -> str:
    """The value of a key, without the key. Secrets are hidden."""
    if is_hidden(value):
        return HIDDEN
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_text, value))}]"
    # TOML has JSON's escapes, and also wants DEL escaped, which JSON does not.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
