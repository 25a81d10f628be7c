"""What a configuration says: the one list of its sections.

The sections are in `server_sections` (the presence server, and what is watched there), `api_sections` (answering) and
`operation_sections` (log, audit, traces), `facade_sections`, `webhook_section` and `cluster_section`.
All that users read about a key stands there, once. The example, docs/configuration.md, the schema and `pws config show`
are made from it:

- a section's docstring, up to its first empty line;
- a key's `description`, its default, and `examples`, which are shown where there is no default;
- the values that its parser takes (`parsers.takes`);
- `title`, the words with which the absence of a required key is reported.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, get_args

from pydantic import Field, field_validator

from service.config import parsers, value_types
from service.config.api_sections import (
    Access,
    Available,
    ClaimLimits,
    Group,
    HistorySection,
    Http,
    KeySection,
    LimitsSection,
    Stream,
)
from service.config.cluster_section import ClusterSection
from service.config.facade_sections import FacadeSection, FacadeUserSection
from service.config.operation_sections import AuditSection, LogSection, OtelSection
from service.config.server_sections import (
    Application,
    CallbackSection,
    CanarySection,
    Fetch,
    Lifecycle,
    ServerSection,
    StateSection,
    Watch,
)
from service.config.webhook_section import WebhookSection


class Sections(value_types.Section):
    """Everything that a file can say."""

    server: ServerSection
    application: Application
    callback: CallbackSection
    http: Http = Http()
    fetch: Fetch = Fetch()
    lifecycle: Lifecycle = Lifecycle()
    state: StateSection = StateSection()
    canary: CanarySection = CanarySection()
    access: Access = Access()
    limits: LimitsSection = LimitsSection()
    stream: Stream = Stream()
    history: HistorySection = HistorySection()
    claims: ClaimLimits = ClaimLimits()
    available: Available = Available()
    log: LogSection = LogSection()
    audit: AuditSection = AuditSection()
    otel: OtelSection = OtelSection()
    watch: tuple[Watch, ...] = Field(title="at least one [[watch]] block")
    groups: dict[str, Group] = Field(default_factory=dict, examples=["support"])
    keys: dict[str, KeySection] = Field(default_factory=dict, examples=["wallboard"])
    webhooks: tuple[WebhookSection, ...] = ()
    facade: FacadeSection = FacadeSection()
    facade_users: dict[str, FacadeUserSection] = Field(default_factory=dict, examples=["attendant"])
    cluster: ClusterSection | None = None

    @field_validator("watch", mode="after")
    @classmethod
    def _watch(cls, blocks: tuple[Watch, ...]) -> tuple[Watch, ...]:
        if not blocks:
            raise parsers.wrong("at least one [[watch]] block", "none")
        twice = parsers.unique_users(block.end_user for block in blocks)
        if twice is not None:
            raise parsers.wrong("one [[watch]] block for each end user", f"two of {twice!r}")
        return blocks


class Config(Sections):
    """A whole configuration. `file` is where it was read; `warnings` are for the operator, and carry no secret."""

    file: Path | None = None
    warnings: tuple[str, ...] = ()

    @property
    def state_path(self) -> Path | None:
        """Where the state file lies: as configured, else beside the configuration file; None where there is none."""
        if self.state.file is not None:
            return self.state.file
        return self.file.with_suffix(".state.json") if self.file is not None else None


def block_of(section: str) -> type[value_types.Section]:
    """The model of a section: of the table itself, of each [[block]], of each [section.NAME]."""
    annotation = Sections.model_fields[section].annotation
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, value_types.Section):
            return kind
    raise TypeError(f"{section} holds no section")


BLOCKS: Final = {section: block_of(section) for section in Sections.model_fields}
"""The models of all sections by their names, in the order of the example."""
