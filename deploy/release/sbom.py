"""Puts a bill of materials into the wheel, in `.dist-info/sboms/` as PEP 770 says: CycloneDX 1.7, made at each build.

It says what is true of the wheel wherever it is installed: nothing of others is inside, and these packages are wanted
beside it, in these versions or later. Which versions a release was tested with is another list, see docs/release.md.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NAME: Final = "pws-presence.cdx.json"
DEVELOPMENT: Final = frozenset({"test"})
"""Extras that nobody needs who runs the service."""

Json = dict[str, Any]  # as CycloneDX describes it


class SbomHook(BuildHookInterface[BuilderConfig]):
    """Writes the document before the wheel is packed."""

    def initialize(self, version: str, build_data: Json) -> None:
        """For a wheel that is installed; an editable one says only where the sources are."""
        if version == "editable":
            return
        core = self.metadata.core
        extras = {name: list(lines) for name, lines in core.optional_dependencies.items() if name not in DEVELOPMENT}
        found = document(core.name, self.metadata.version, core.license_expression, core.dependencies, extras)
        self._directory = tempfile.TemporaryDirectory()
        file = Path(self._directory.name) / NAME
        file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", "utf-8")
        build_data["sbom_files"].append(str(file))

    def finalize(self, version: str, _build_data: Json, _artifact: str) -> None:
        """The wheel has it now."""
        if version != "editable":
            self._directory.cleanup()


def document(name: str, version: str, licence: str, required: Iterable[str], extras: dict[str, list[str]]) -> Json:
    """The bill of materials. Equal for equal arguments, to the last byte."""
    package = canonicalize_name(name)
    purl = f"pkg:pypi/{package}@{version}"
    components = [component(Requirement(line)) for line in required]
    for extra, lines in sorted(extras.items()):
        components += [component(Requirement(line), extra) for line in lines]
    components.sort(key=lambda each: str(each["bom-ref"]))
    wanted = [str(each["bom-ref"]) for each in components]
    body: Json = {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": purl,
                "name": package,
                "version": version,
                "purl": purl,
                "licenses": [{"license": {"id": licence, "acknowledgement": "declared"}}],
            },
        },
        "components": components,
        "dependencies": [{"ref": purl, "dependsOn": wanted}],
        # What those packages want in turn depends on the versions that are installed.
        "compositions": [
            {"aggregate": "complete", "dependencies": [purl]},
            {"aggregate": "unknown", "dependencies": wanted},
        ],
    }
    content = json.dumps(body, sort_keys=True)
    return body | {"serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"}


def component(requirement: Requirement, extra: str = "") -> Json:
    """A package that is wanted beside the wheel, of which no particular version is inside."""
    package = canonicalize_name(requirement.name)
    properties = {"python:extra": extra, "python:marker": str(requirement.marker or "")}
    limits = "|".join(sorted(str(limit) for limit in requirement.specifier))
    found: Json = {
        "type": "library",
        "bom-ref": f"{package}[{extra}]" if extra else str(package),
        "name": package,
        "purl": f"pkg:pypi/{package}",
        "isExternal": True,
        "versionRange": f"vers:pypi/{limits or '*'}",
        "scope": "optional" if extra else "required",
    }
    described = [{"name": name, "value": value} for name, value in properties.items() if value]
    return found | ({"properties": described} if described else {})
