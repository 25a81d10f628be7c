"""What gSOAP reads of an element in which text and elements are mixed, and in which line an element is.

Text where elements are expected ends the reading of them: gSOAP passes over all that follows it. An element where a
value is expected ends the value; within a string it is part of the string, as markup. Comments and processing
instructions are nothing: the parser has left them out.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from pws_soap.server.codes import Refused

MAX_LINE: Final = 65_535
"""The greatest line number that an element of the tree can be given; it stands for all from there on."""


def leading_text(element: etree._Element) -> str:
    """A value: the text before the first element in it."""
    return element.text or ""


def whole_text(element: etree._Element) -> str:
    """A string: all the text, and the elements in it as markup."""
    text = element.text or ""
    if not len(element):
        return text
    return text + "".join(etree.tostring(child, encoding="unicode") for child in element)


def elements_before_text(element: etree._Element) -> list[etree._Element]:
    """The elements in one that holds elements. Raises `Refused` if text stands before one of them."""
    children = list(element.iterchildren("*"))
    texts = [element.text, *[child.tail for child in children[:-1]]]
    for text, child in zip(texts, children, strict=False):
        if text and not text.isspace():
            name = etree.QName(element).localname
            raise Refused(102, f"{at_line(child)}text stands in {name}, and gSOAP does not read what follows it.")
    return children


def at_line(element: etree._Element) -> str:
    """Such as `Line 3: `, to begin a reason with; nothing where the line is not known."""
    return line_text(element.sourceline)


def line_text(line: int | None) -> str:
    """The same for a number: the parser does not tell lines beyond `MAX_LINE` apart."""
    return f"Line {line}: " if line and line < MAX_LINE else ""
