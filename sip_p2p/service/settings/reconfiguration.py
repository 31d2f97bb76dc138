"""What SIGHUP takes over of a changed ``--config`` file, and what it leaves for a restart.

The command line and the environment are read again together with the file, by the rules of a start: a mistake anywhere
changes nothing, and the log has the line that a start would have printed. What has changed is then taken over as far as
a running party can take it, all of it or nothing; what cannot is named. Connections and sessions live on.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from twisted.logger import Logger
from twisted.python import usage

from sip_p2p.endpoint.server_managers import RealTimeServerTlsConnectionManager
from sip_p2p.errors import TlsFailure
from sip_p2p.observe.text import printable
from sip_p2p.service.parts import Part
from sip_p2p.transport.dns.resolver import StaticResolver
from sip_p2p.transport.trust.credential import Credential
from sip_p2p.transport.trust.identity import TrustPolicy
from sip_p2p.transport.trust.key_usage import KeyUsage, KeyUsagePolicy
from sip_p2p.transport.trust.revocation import Revocation
from sip_p2p.transport.trust.stack import Trust, TrustStack

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.service.service import SipService
    from sip_p2p.service.settings.options import Options

__all__ = ["RELOADED", "Reconfiguration"]


class _Group(NamedTuple):
    """Options that are taken over together: their names, and what reads all that is needed and returns the change."""

    names: frozenset[str]
    prepare: Callable[[SipService, Options], Callable[[], object] | None]


def _tls(service: SipService) -> RealTimeServerTlsConnectionManager | None:
    manager = service.manager
    return manager if isinstance(manager, RealTimeServerTlsConnectionManager) else None


def _certificate(service: SipService, options: Options) -> Callable[[], object] | None:
    manager = _tls(service)
    if manager is None or options["certificate"] is None:
        return None
    credential = Credential.from_files(options["certificate"], options["private-key"])
    return lambda: manager.set_local_certificate(credential)


def _trust(service: SipService, options: Options) -> Callable[[], object] | None:
    manager = _tls(service)
    if manager is None:
        return None
    given: list[str | Trust] = [*options.trust, *options.trusts()]
    if not given:
        raise ValueError("nobody would be trusted any more: --trust, --pin and --first-use are gone")
    stack = TrustStack.of(given)
    return lambda: manager.set_trust(stack)


def _policy(service: SipService, options: Options) -> Callable[[], object] | None:
    manager = _tls(service)
    return None if manager is None else lambda: manager.set_trust_policy(options.policy or TrustPolicy())


def _revocation(service: SipService, options: Options) -> Callable[[], object] | None:
    manager = _tls(service)
    revocation = options.tls_arguments().get("revocation") or Revocation(mode="off")
    return None if manager is None else lambda: manager.set_revocation(revocation)


def _server_certificates(service: SipService, options: Options) -> Callable[[], object] | None:
    manager = _tls(service)
    certificates = options.tls_arguments()["server_certificates"]
    return None if manager is None else lambda: manager.set_server_certificates(certificates)


def _key_usage(service: SipService, options: Options) -> Callable[[], object] | None:
    manager = _tls(service)
    policy = KeyUsagePolicy.parse(options["key-usage"] or KeyUsagePolicy.SIP_EITHER.value)
    wanted = KeyUsage(policy, options["required-eku"] or ())
    return None if manager is None else lambda: manager.tls_settings().replace(usage=wanted)


def _senders(service: SipService, options: Options) -> Callable[[], object] | None:
    manager = _tls(service)
    return None if manager is None else lambda: setattr(manager, "from_policy", options.from_policy)


def _limits(service: SipService, options: Options) -> Callable[[], object]:
    limits = options.limits.replace(drain_timeout=options.drain)
    return lambda: setattr(service.manager, "limits", limits)


def _stop(service: SipService, options: Options) -> Callable[[], object]:
    return lambda: service.set_stop(options.drain, options.finish_sessions, tuple(options.redirect_to))


def _advertise(service: SipService, options: Options) -> Callable[[], object]:
    return lambda: setattr(service.manager, "advertise", options["advertise"])


def _resolve(service: SipService, options: Options) -> Callable[[], object]:
    now = service.manager.resolver
    otherwise = now.otherwise if isinstance(now, StaticResolver) else now
    wanted = StaticResolver(options.addresses, otherwise) if options.addresses else otherwise
    return lambda: setattr(service.manager, "resolver", wanted)


def _pool(service: SipService, options: Options) -> Callable[[], object]:
    arguments = options.manager_arguments()

    def change() -> None:
        pool = service.manager.pool
        pool.size, pool.linger = arguments["pool_size"], arguments["pool_linger"]
        pool.websocket = arguments["websocket"]

    return change


def _sessions(service: SipService, options: Options) -> Callable[[], object]:
    return lambda: setattr(service.endpoint, "answer_options", options.answers)


_GROUPS = tuple(
    _Group(frozenset(names.split()), prepare)
    for names, prepare in (
        ("certificate private-key", _certificate),
        ("trust pin first-use first-use-for first-use-incoming", _trust),
        ("allow allow-any-authenticated", _policy),
        ("crl revocation stapling", _revocation),
        ("server-certificate", _server_certificates),
        ("key-usage required-eku", _key_usage),
        ("trusted-proxy allow-any-from", _senders),
        ("limit drain", _limits),
        ("drain finish-sessions redirect-to", _stop),
        ("advertise", _advertise),
        ("resolve", _resolve),
        ("pool-size pool-linger websocket-path websocket-origin", _pool),
        ("max-ring session-timer session-timer-least", _sessions),
    )
)

RELOADED: frozenset[str] = frozenset().union(*(group.names for group in _GROUPS))
"""The options of the party that SIGHUP takes over; a part of the service may take over its own besides."""


class Reconfiguration(Part):
    """Has a running service follow its file.

    :param service: what is to follow.
    :param options: by which it was made.
    """

    def __init__(self, service: SipService, options: Options) -> None:
        self._service = service
        self._options = options
        self._in_use = options.configuration.texts()
        self._log = Logger("sip_p2p.service")

    def reload(self) -> list[str]:
        """Read the file again.

        :returns: what was taken over and what was not, in words; nothing where there is no file.
        """
        if self._options.configuration.file is None:
            return []
        try:
            with contextlib.chdir(self._options.folder):
                wanted = self._options.again()
                return self._take_over(wanted)
        except (usage.UsageError, TlsFailure, ValueError, OSError) as error:
            detail = error.detail if isinstance(error, TlsFailure) else str(error)
            self._log.error("the configuration stays as it was: {error}", error=printable(detail, 512))
            return ["the configuration cannot be used, and stays as it was"]

    def _take_over(self, wanted: Options) -> list[str]:
        texts = wanted.configuration.texts()
        changed = {name for name in {*texts, *self._in_use} if texts.get(name) != self._in_use.get(name)} - {"config"}
        if not changed:
            return []
        changes: list[Callable[[], object]] = []
        taken: set[str] = set()
        for group in _GROUPS:
            if group.names & changed:
                change = group.prepare(self._service, wanted)
                if change is not None:
                    changes.append(change)
                    taken |= group.names & changed
        for change in changes:
            change()
        taken |= self._service.configure(wanted, frozenset(changed)) & changed
        for name in taken:
            if name in texts:
                self._in_use[name] = texts[name]
            else:
                self._in_use.pop(name, None)
        left = sorted(changed - taken)
        if left:
            self._log.warn("{names}: what the file says now needs a restart", names=_names(left))
        said = [f"{_names(sorted(taken))} as the file says now"] if taken else []
        return said + ([f"{_names(left)} not before a restart"] if left else [])


def _names(names: list[str]) -> str:
    return ", ".join(f"--{name}" for name in names)
