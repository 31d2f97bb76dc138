"""A service put together from its options: the party, its application, and what stands beside it.

Everything that needs a file is read here; nothing is bound or dialled before the service starts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from twisted.logger import Logger
from twisted.python import usage

from sip_p2p.errors import OutboxFailed
from sip_p2p.observe.text import printable
from sip_p2p.observe.trace import Tap, TraceWriter
from sip_p2p.service.applications.loader import Loader
from sip_p2p.service.applications.running import RunningApplication, authorizer
from sip_p2p.service.applications.setting import ApplicationSetting
from sip_p2p.service.chronicle import Chronicle
from sip_p2p.service.diagnosis.check import another_name
from sip_p2p.service.happenings import Happenings
from sip_p2p.service.http.server import ControlServer
from sip_p2p.service.instruments.exports import Exports
from sip_p2p.service.instruments.instruments import Instruments
from sip_p2p.service.json_lines import JsonLines
from sip_p2p.service.lives.outbox import OutboxPart
from sip_p2p.service.lives.packages import add_packages
from sip_p2p.service.lives.standing import StandingSubscriptions
from sip_p2p.service.party import make_party
from sip_p2p.service.process.state import instance_id
from sip_p2p.service.process.supervision import Supervision
from sip_p2p.service.process.worker import ears_and_mouth
from sip_p2p.service.registering import Registering
from sip_p2p.service.service import SipService
from sip_p2p.service.settings.reconfiguration import Reconfiguration
from sip_p2p.service.webhook.deliverer import Deliverer
from sip_p2p.service.webhook.figures import WebhookFigures

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.registration.sip_endpoint import SipEndpoint
    from sip_p2p.service.settings.options import Options
    from sip_p2p.transport.trust.credential import Credential

__all__ = ["make"]

_events = Logger("sip_p2p.service.events")


def make(
    reactor: IReactorTime, options: Options, *, owns_process: bool = False, lines: JsonLines | None = None
) -> SipService:
    """The service that *options* describe, on *reactor*.

    :param lines: where its application writes; standard output, or the log of a daemon, when None.
    :raises UsageError: when the options do not make a party, or the application takes what is theirs.
    :raises ApplicationError: when the application cannot be had.
    :raises OSError: when a file or folder cannot be used.
    :raises ValueError: when the state folder holds something else.
    """
    # Only who uses the API can ask for what is over.
    happenings = Happenings(
        capacity=1024 if options.http else 0, common={} if options.seat is None else {"worker": options.seat.number}
    )
    lines = lines or JsonLines(_to_log if options.is_daemon else None)
    webhook = Deliverer.from_options(reactor, happenings, options)
    setting = ApplicationSetting(happenings, lines, options, reactor, webhook)
    loader = Loader(options["application"], setting)
    application = RunningApplication(loader.load(), loader, takes_referrals=options["referrals"] != "decline")
    if options.publishers and "PUBLISH" in application.application.methods:
        raise usage.UsageError(f"--application {options['application']} takes PUBLISH itself: leave --publishers out")
    identity = None if options["state"] is None else instance_id(options["state"])
    trace = None if options["trace"] is None else TraceWriter(options["trace"])
    exports = _exports(reactor, options, trace)
    try:
        party = make_party(
            reactor,
            options,
            is_clear_text=options.is_clear_text,
            policy=options.policy,
            instance_id=identity,
            authorize=authorizer(application),
            answers=options.answers,
            key_log=exports.key_log,
        )
    except usage.UsageError:
        exports.close()
        if trace is not None:
            trace.close()
        raise
    exports.attach(party.manager, options.keep_bodies, party.endpoint.aor.host)
    _warn_of_another_name(options, party.credential)
    service = SipService(
        reactor,
        party,
        application,
        listen=tuple(options.listen),
        trace=trace,
        tap=None if trace is None else _tap(options, trace, party.endpoint.aor.host),
        drain=options.drain,
        finish_sessions=options.finish_sessions,
        redirect_to=tuple(options.redirect_to),
        owns_process=owns_process,
        logs_to_file=options.logs_to_file,
        log=options.log,
        happenings=happenings,
    )
    add_packages(party.endpoint, options.packages, options.watchers, application.subscriber, options.publishers)
    _add_parts(reactor, service, options, exports, webhook, owns_process)
    return service


def _add_parts(
    reactor: IReactorTime,
    service: SipService,
    options: Options,
    exports: Exports,
    webhook: Deliverer | None,
    owns_process: bool,
) -> None:
    """What stands beside the party; the last one is who tells a supervisor that all the others have started."""
    service.add_part(Reconfiguration(service, options))
    instruments = Instruments.from_options(reactor, service.manager, options, service.happenings)
    service.add_part(instruments)
    service.add_part(exports)
    service.add_part(Chronicle(service.happenings, service.endpoint))
    if options.registrar is not None:
        party = cast("SipEndpoint", service.endpoint)
        service.add_part(Registering(service.happenings, party, options.registrar, options.register_expires))
    if options.subscriptions:
        begun = service.begun_by_itself
        service.add_part(StandingSubscriptions(service.endpoint, options.subscriptions, begun))
    if options["outbox"] is not None:
        service.add_part(_outbox(reactor, service, options["outbox"]))
    if options.http_places:
        service.add_part(ControlServer(service, instruments, options))
    if webhook is not None:
        service.add_part(webhook)
        instruments.collector.registry.register(WebhookFigures(webhook, instruments.labels))
        instruments.further["webhook"] = lambda: webhook.counters
    if owns_process:
        stop_seconds = options.drain + options.finish_sessions
        if options.seat is not None:
            for part in ears_and_mouth(reactor, service, options.seat, stop_seconds):
                service.add_part(part)
        supervision = Supervision.from_environment(reactor, service, stop_seconds, os.environ)
        if supervision is not None:
            service.add_part(supervision)


def _outbox(reactor: IReactorTime, service: SipService, path: str) -> OutboxPart:
    try:
        part = OutboxPart(reactor, service.happenings, service.endpoint, path)
    except OutboxFailed as error:
        raise ValueError(f"--outbox {printable(path)}: {error}") from None
    service.outbox = part.outbox
    return part


def _warn_of_another_name(options: Options, credential: Credential | None) -> None:
    if credential is not None and options.listen:
        text = another_name(options, credential)
        if text:
            Logger("sip_p2p.service").warn("{text}: peers that dial it will refuse it", text=printable(text, 512))


def _tap(options: Options, trace: TraceWriter, local: str) -> Tap:
    """What looks at the wire for the trace."""
    with_secrets = bool(options["trace-with-secrets"])
    if with_secrets:
        Logger("sip_p2p.service").warn(
            "--trace-with-secrets: {path} holds credentials and bodies, so keep it to yourself", path=options["trace"]
        )
    return Tap(local=local, secrets=with_secrets, bodies=options.keep_bodies, writer=trace)


def _exports(reactor: IReactorTime, options: Options, trace: TraceWriter | None) -> Exports:
    try:
        return Exports(reactor, options)
    except (OSError, ValueError):
        if trace is not None:
            trace.close()
        raise


def _to_log(line: str) -> None:
    """Where the events of a daemon go, which has no standard output."""
    _events.info("{line}", line=line.rstrip("\n"))
