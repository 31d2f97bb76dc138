"""What ``--check`` says of what lives on beside sessions: the outbox, event packages, standing subscriptions, and who
may transfer what. The outbox is looked at as it is; nothing is made or changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sip_p2p.endpoint.messaging import outbox_store
from sip_p2p.errors import OutboxFailed
from sip_p2p.observe.redact import without_passwords
from sip_p2p.service.applications.base import Application
from sip_p2p.service.applications.loader import ApplicationError, look_at
from sip_p2p.service.lives.packages import ASK, VERIFIED
from sip_p2p.service.lives.replacing import OFF, SAME
from sip_p2p.service.settings.options import SECURE_PREFIXES, description_prefix

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.service.diagnosis.findings import Report
    from sip_p2p.service.settings.options import Options

__all__ = ["check_lives"]


def check_lives(options: Options, report: Report) -> None:
    """Look at all of it."""
    application = _application(options)
    _check_outbox(options, report)
    _check_packages(options, application, report)
    for event, uri in options.subscriptions:
        report.ok("subscribe", f"{event} of {without_passwords(uri)} is watched from the start to the end")
    _check_transfers(options, application, report)


def _application(options: Options) -> Application | None:
    try:
        return look_at(options)
    except ApplicationError:
        # That it cannot be had is said already.
        return None


def _check_packages(options: Options, application: Application | None, report: Report) -> None:
    if not options.packages:
        return
    for name in options.packages:
        usual = "you alone" if name == "dialog" else "whoever has proved the address in From"
        report.ok("package", f"{name} can be watched by {_names(options.watchers) or usual}")
    if options.publishers:
        who = ", ".join("whoever has proved it" if each == VERIFIED else each for each in options.publishers)
        report.ok("publishers", f"may publish for his own address, here and for others to watch: {who}")
        if application is not None and "PUBLISH" in application.methods:
            report.wrong("publishers", f"{options['application']} takes PUBLISH itself: leave --publishers out")
    if ASK in options.watchers and application is not None:
        if type(application).subscriber is not Application.subscriber:
            report.ok("watchers", f"{options['application']} decides about everybody else who wants to watch")
        elif options.http_places:
            report.ok("watchers", "everybody else who wants to watch waits until that is approved over HTTP")
        else:
            report.note(
                "watchers",
                f"ask: {options['application']} decides nothing, and without --http nobody can approve: who asks waits",
            )
    elif not _can_prove(options):
        report.note("watchers", "all that is listened on is clear text: nobody proves who he is, and so nobody watches")


def _names(watchers: Iterable[str]) -> str:
    words = {VERIFIED: "whoever has proved the address in From", ASK: "whom the application lets"}
    return ", ".join(words.get(each, each) for each in watchers)


def _can_prove(options: Options) -> bool:
    """Whether anybody who connects can prove a name."""
    secure = any(description_prefix(each) in SECURE_PREFIXES for each in options.listen)
    return secure or not options.listen or options["authenticate-users"] is not None


def _check_transfers(options: Options, application: Application | None, report: Report) -> None:
    given = options.replaces
    if OFF in given:
        report.ok("replaces", "nobody has a session of his own take the place of one of yours")
    elif VERIFIED in given:
        report.note("replaces", "whoever has proved the address in From, and can name a session of yours, takes it")
    else:
        further = "".join(f", and {each}" for each in given if each != SAME)
        report.ok("replaces", f"a session of yours is taken over by the party that it is with{further}")
    name = options["application"]
    if application is None:
        return
    if type(application).referral is Application.referral:
        report.ok("referrals", f"{name} does not decide about REFERs of peers: they are refused")
    elif options["referrals"] == "decline":
        report.ok("referrals", "REFERs of peers are refused, and the application is not asked")
    else:
        report.ok("referrals", f"{name} decides about REFERs of peers")


def _check_outbox(options: Options, report: Report) -> None:
    path = options["outbox"]
    if path is None:
        return
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        report.wrong("outbox", f"{path}: there is no folder {folder} to make it in")
    elif not os.access(folder, os.W_OK):
        report.wrong("outbox", f"{path}: nothing can be written in {folder}, where its log is beside it")
    elif not os.path.exists(path):
        report.ok("outbox", f"{path} will be made; what it holds is readable by you alone")
    else:
        try:
            count = outbox_store.look_at(path)
        except OutboxFailed as error:
            report.wrong("outbox", str(error))
            return
        report.ok("outbox", f"{path} is one, and {count} messages in it wait")
