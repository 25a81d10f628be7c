"""What there is to know of each section and key, read off the settings model.

The example, docs/configuration.md and the schema are three ways of writing it; nothing here is said of one key alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache
from inspect import cleandoc
from typing import Annotated, Any, get_args, get_origin

from pydantic import BeforeValidator, PlainValidator
from pydantic.fields import FieldInfo

from service.config import parsers
from service.config.errors import header_of
from service.config.sections import BLOCKS, Sections
from service.config.sources import SECRETS
from service.config.toml_text import toml_text
from service.config.value_types import Section


class Form(Enum):
    """How a section is written."""

    TABLE = "[{}]"
    BLOCKS = "[[{}]]"
    NAMED = "[{}.NAME]"


@dataclass(frozen=True, slots=True)
class KeyReference:
    """One key. `values` says in words what it takes; `default` and `example` are as the model has them, None: none."""

    name: str
    description: str
    values: str
    schema: parsers.Schema
    required: bool = False
    default: object = None
    example: object = None
    file_of: str = ""
    """The secret that this key names a file of."""

    @property
    def unit(self) -> str:
        """The unit of its number, such as seconds."""
        return str(self.schema.get("x-unit", ""))


@dataclass(frozen=True, slots=True)
class SectionReference:
    """One section. `sample` is the NAME that the example gives it."""

    name: str
    form: Form
    description: str
    required: bool
    sample: str
    keys: tuple[KeyReference, ...]
    optional: bool = False
    """Whether something else happens where the table is not written at all."""

    @property
    def header(self) -> str:
        """How it is written in a file, NAME standing for any name."""
        return self.form.value.format(header_of(self.name))


@cache
def sections() -> tuple[SectionReference, ...]:
    """All sections, in the order of the model. TypeError names a section or a key that is not described."""
    return tuple(_section(name, model) for name, model in BLOCKS.items())


def _section(name: str, model: type[Section]) -> SectionReference:
    field = Sections.model_fields[name]
    origin = get_origin(field.annotation)
    form = Form.BLOCKS if origin is tuple else Form.NAMED if origin is dict else Form.TABLE
    paragraph = " ".join(cleandoc(model.__doc__ or "").partition("\n\n")[0].split())
    header = form.value.format(header_of(name))
    if not paragraph.startswith(f"{header}: ") or model.__doc__ == Section.__doc__:
        raise TypeError(
            f"{model.__name__}: the docstring has to begin with {header}: and say what the section is about"
        )
    description = paragraph.removeprefix(f"{header}: ")
    place = "" if form is Form.TABLE else f"{name.partition('_')[0]}-"
    keys = tuple(key for key_name, info in model.model_fields.items() for key in _keys(name, key_name, info, place))
    required = field.is_required() and any(key.required for key in keys)
    sample = str(field.examples[0]) if field.examples else ""
    if form is Form.NAMED and not sample:
        raise TypeError(f"{name}: examples=[...] has to give the example's section a name")
    optional = form is Form.TABLE and field.default is None
    return SectionReference(name, form, description[:1].upper() + description[1:], required, sample, keys, optional)


def _keys(section: str, name: str, field: FieldInfo, place: str) -> Iterator[KeyReference]:
    where = f"{section}.{name}"
    if not field.description:
        raise TypeError(f"{where} has no description")
    values, schema = _accepted(where, field.annotation, field.metadata)
    required = field.is_required()
    default = None if required or field.default in (None, (), "") else field.default
    example = field.examples[0] if field.examples else None
    if default is None and example is None:
        raise TypeError(f"{where} has no default to show, and no example")
    yield KeyReference(name, field.description, values, schema, required, default, example)
    if (section, name) in SECRETS:
        description = f"A file that holds `{name}` and that only the service may read, instead of `{name}`."
        yield KeyReference(
            f"{name}_file",
            description,
            parsers.ACCEPTED[parsers.existing_file].words,
            parsers.STRING,
            example=f"/run/secrets/pws-{place}{name}",
            file_of=name,
        )


# Any: annotations and their metadata are whatever the model was given
def _accepted(where: str, annotation: Any, metadata: list[Any]) -> tuple[str, parsers.Schema]:
    """What a key takes, in words and in JSON Schema: as its parser says."""
    for validator in metadata:
        if isinstance(validator, PlainValidator | BeforeValidator) and validator.func in parsers.ACCEPTED:
            accepted = parsers.ACCEPTED[validator.func]
            if accepted.schema != {"type": "array"}:
                return accepted.words, accepted.schema
            words, items = _accepted(where, get_args(annotation)[0], [])
            each = f"; each {words}" if "enum" in items else ""
            return accepted.words + each, {"type": "array", "items": items}
    for part in get_args(annotation):  # X | None
        if get_origin(part) is Annotated:
            inner, *marks = get_args(part)
            return _accepted(where, inner, marks)
    if get_origin(annotation) is Annotated:
        inner, *marks = get_args(annotation)
        return _accepted(where, inner, marks)
    raise TypeError(f"{where}: its parser does not say what it takes (parsers.takes)")


def default_text(key: KeyReference) -> str:
    """The default of a key as TOML, or a word where there is none."""
    return "required" if key.required else "none" if key.default is None else toml_text(key.default)
