"""What ``--check`` says of what lives on beside sessions: the outbox, event packages, and standing subscriptions. The
outbox is looked at as it is; nothing is made or changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sip_p2p.endpoint.messaging.outbox_store import look_at
from sip_p2p.errors import OutboxFailed

if TYPE_CHECKING:
    from sip_p2p.service.diagnosis.findings import Report
    from sip_p2p.service.settings.options import Options

__all__ = ["check_lives"]


def check_lives(options: Options, report: Report) -> None:
    """Look at all of it."""
    _check_outbox(options, report)
    if options.packages:
        who = ", ".join(options.watchers) or "whoever has proved the address in From"
        report.ok("package", f"{', '.join(options.packages)} can be watched by {who}")
    for event, uri in options.subscriptions:
        report.ok("subscribe", f"{event} of {uri} is watched from the start to the end")


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
            count = look_at(path)
        except OutboxFailed as error:
            report.wrong("outbox", str(error))
            return
        report.ok("outbox", f"{path} is one, and {count} messages in it wait")
