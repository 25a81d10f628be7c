"""The façade of the configuration put together. Where there is none, this module is not imported."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping

from service.access.audit import AuditLog
from service.config import Config
from service.core.wiring import Core
from service.facade.facade import SoapFacade
from service.facade.settings import FacadeSettings, FacadeUser
from service.runtime.facade_listener import CertificateNotUsable, load
from service.sync.engine import SyncEngine

log = logging.getLogger("pws.facade")


def facade(config: Config, core: Core, engine: SyncEngine, audit: AuditLog | None) -> SoapFacade | None:
    """The façade, which is not started; None where the configuration has none."""
    section = config.facade
    if not section.is_on or section.address is None:
        return None
    settings = FacadeSettings(
        address=section.address,
        users=users_of(config),
        endpoints=tuple(section.endpoints),
        watch_more=section.watch_more,
        set_presence=section.set_presence,
        unsure_after=section.unsure_after,
        max_sessions=section.max_sessions,
        max_endpoints=section.max_endpoints,
        max_subscriptions=section.max_subscriptions,
        max_contacts=section.max_contacts,
        max_watch_more=section.max_watch_more,
        requests_per_second=section.requests_per_second,
        max_body_bytes=section.max_body_bytes,
        notification_timeout=section.notification_timeout,
        read_patience=min(20.0, config.server.read_timeout),
        silent_after=section.silent_after,
    )
    return SoapFacade(settings, core, engine, audit)


def users_of(config: Config) -> Mapping[str, FacadeUser]:
    """The users of the façade, by name."""
    return {
        name: FacadeUser(user.password, frozenset(user.end_users), frozenset(user.groups) or None)
        for name, user in config.facade_users.items()
    }


def reload(running: SoapFacade, fresh: Config, tls: ssl.SSLContext | None) -> None:
    """Take users and certificate from a configuration that was read again; all else takes a restart."""
    section = fresh.facade
    if not section.is_on:
        log.warning(
            "SIGHUP: facade.listen_port is gone; the façade goes on until a restart",
            extra={"event": "facade.restart-needed"},
        )
        return
    running.reload(users_of(fresh))
    if tls is not None:
        try:
            load(tls, fresh)
        except CertificateNotUsable as error:
            log.warning(
                "SIGHUP: the certificate before stays: %(error)s",
                {"error": error},
                extra={"event": "facade.certificate-refused"},
            )
