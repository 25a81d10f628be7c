"""Rich presence: PIDF documents read, decided, explained and written (protocol section 4, RFC 3863, 4479, 4480, 5196).

`read_list` reads whatever a `richPresenceList` held, `read_document` one document; both give a `Reading`. `explain`
says why a reading has its state, `to_presence` makes of it what the rest of the library passes on, and `explanation`
says the same of that. Pure: no I/O, no clock; it imports lxml and the library's values. Another carrier of rich
documents belongs into `carrier` (where a document ends in a text: `split`), an element into `reader` or `tuples`, a
word that decides a state into `rule`.
"""

from pws_soap.errors import PidfError
from pws_soap.pidf.carrier import Content, Document, read_document, read_list, read_list_in_steps, to_presence
from pws_soap.pidf.elements import moment
from pws_soap.pidf.kept import KeptReadings, is_timeless
from pws_soap.pidf.model import Device, DeviceKind, Reading
from pws_soap.pidf.rule import explain, explanation

__all__ = [
    "Content",
    "Device",
    "DeviceKind",
    "Document",
    "KeptReadings",
    "PidfError",
    "Reading",
    "explain",
    "explanation",
    "is_timeless",
    "moment",
    "read_document",
    "read_list",
    "read_list_in_steps",
    "to_presence",
]
