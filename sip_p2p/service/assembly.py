"""A service put together from its options: the party, its application, and what stands beside it.

Everything that needs a file is read here; nothing is bound or dialled before the service starts.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from twisted.logger import Logger
from twisted.python import usage

from sip_p2p.observe.text import printable
from sip_p2p.observe.trace import Tap, TraceWriter
from sip_p2p.service.application import Application, load_application
from sip_p2p.service.check import another_name
from sip_p2p.service.instruments import Instruments
from sip_p2p.service.json_lines import JsonLines
from sip_p2p.service.party import make_party
from sip_p2p.service.service import SipService
from sip_p2p.service.state import instance_id
from sip_p2p.service.supervision import Supervision

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.service.options import Options

__all__ = ["make"]

_events = Logger("sip_p2p.service.events")


def make(reactor: IReactorTime, options: Options, *, owns_process: bool = False) -> SipService:
    """The service that *options* describe, on *reactor*.

    :raises UsageError: when the options do not make a party.
    :raises ApplicationError: when the application cannot be had.
    :raises OSError: when a file or folder cannot be used.
    :raises ValueError: when the state folder holds something else.
    """
    application = load_application(options["application"], JsonLines(_to_log) if options.is_daemon else None)
    identity = None if options["state"] is None else instance_id(options["state"])
    trace = None if options["trace"] is None else TraceWriter(options["trace"])
    try:
        party = make_party(
            reactor,
            options,
            is_clear_text=options.is_clear_text,
            policy=options.policy,
            instance_id=identity,
            authorize=None if type(application).authorize is Application.authorize else application.authorize,
            answers=options.answers,
        )
    except usage.UsageError:
        if trace is not None:
            trace.close()
        raise
    credential = party.credential
    if credential is not None and options.listen:
        text = another_name(options, credential)
        if text:
            Logger("sip_p2p.service").warn("{text}: peers that dial it will refuse it", text=printable(text, 512))
    tap = None
    if trace is not None:
        tap = Tap(
            local=party.endpoint.aor.host,
            secrets=bool(options["trace-with-secrets"]),
            bodies=options.keep_bodies,
            writer=trace,
        )
        if options["trace-with-secrets"]:
            Logger("sip_p2p.service").warn(
                "--trace-with-secrets: {path} holds credentials and bodies, so keep it to yourself",
                path=options["trace"],
            )
    service = SipService(
        reactor,
        party,
        application,
        listen=tuple(options.listen),
        trace=trace,
        tap=tap,
        drain=options.drain,
        finish_sessions=options.finish_sessions,
        redirect_to=tuple(options.redirect_to),
        owns_process=owns_process,
        logs_to_file=options.logs_to_file,
        log=options.log,
    )
    instruments = Instruments.from_options(reactor, party.manager, options, party.endpoint.aor.host)
    service.add_part(instruments)
    if owns_process:
        supervision = Supervision.from_environment(
            reactor, service, options.drain + options.finish_sessions, os.environ
        )
        if supervision is not None:
            service.add_part(supervision)
    return service


def _to_log(line: str) -> None:
    """Where the events of a daemon go, which has no standard output."""
    _events.info("{line}", line=line.rstrip("\n"))
