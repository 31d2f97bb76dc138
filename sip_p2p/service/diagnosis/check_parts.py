"""What ``--check`` says of what stands beside the party: HTTP, the webhook, exports, instruments, workers.

Nothing is bound or delivered. Whether the webhook and the Homer server can be had at all is tried with one TCP
connection each, which is closed again and has :data:`PATIENCE` seconds; that they cannot is a note, as a service starts
without them.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import stat
from typing import TYPE_CHECKING

from sip_p2p.service.event_names import strangers
from sip_p2p.service.http.access import Tokens
from sip_p2p.service.webhook.signature import parse_secrets
from sip_p2p.transport.trust.credential import TrustAnchors
from sip_p2p.transport.trust.https import system_authorities

if TYPE_CHECKING:
    from collections.abc import Callable

    from sip_p2p.service.diagnosis.findings import Report
    from sip_p2p.service.http.listening import Place
    from sip_p2p.service.settings.options import Options

__all__ = ["PATIENCE", "check_parts", "reach"]

PATIENCE = 3.0
"""For how many seconds a server may keep ``--check`` waiting."""


def reach(host: str, port: int) -> str:
    """Why there is no TCP connection to be had from here; empty where there is one."""
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except (OSError, UnicodeError) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ""


def check_parts(options: Options, report: Report, reach: Callable[[str, int], str] = reach) -> None:
    """Look at all of them.

    :param reach: says why a server cannot be had.
    """
    _check_http(options, report)
    _check_webhook(options, report, reach)
    _check_hep(options, report, reach)
    _check_instruments(options, report)
    _check_workers(options, report)


def _check_http(options: Options, report: Report) -> None:
    if not options.http_places:
        report.ok("http", "no --http: nobody steers the service, or sees inside", cause="no-http")
        return
    token = options["http-token-file"]
    try:
        if token is not None:
            Tokens(token)
    except OSError:
        # That it cannot be read is said already.
        return
    except ValueError as error:
        report.wrong("http", str(error), cause="tokens")
        return
    for place in options.http_places:
        if place.is_mutual(options.http_allow):
            who = f"those whose certificate proves one of {', '.join(options.http_allow)}"
        elif token is not None:
            who = f"those who know a token of {token}"
        elif place.kind == "unix":
            who = f"those who may open it (mode {place.mode:04o})"
        else:
            who = "every user and program of this machine"
        trouble = _trouble_with(place)
        if trouble:
            report.wrong("http", f"{place.text}: {trouble}", cause="http-place")
            continue
        is_open = not who.startswith("those")
        (report.note if is_open else report.ok)("http", f"{place.text} is for {who}", cause="http-access")
    if options["http-allow-clear-text"]:
        report.note("http", "tokens may come in clear text, where anybody on the way reads them", cause="clear-text")


def _trouble_with(place: Place) -> str:
    """Why a Unix socket cannot be made there; empty where it can."""
    if place.kind != "unix":
        return ""
    folder = os.path.dirname(place.path)
    if not os.path.isdir(folder):
        return f"there is no folder {folder} to make the socket in"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the socket cannot be made in {folder}: it may not be written to"
    if os.path.lexists(place.path) and not stat.S_ISSOCK(os.lstat(place.path).st_mode):
        return "there is something else of that name"
    return ""


def _check_webhook(options: Options, report: Report, reach: Callable[[str, int], str]) -> None:
    settings = options.webhook
    if settings is None:
        return
    try:
        with open(settings.secret_file, encoding="utf-8", errors="replace") as file:
            count = len(parse_secrets(file.read(65536)))
        if settings.is_secure:
            _ = system_authorities() if settings.trust is None else TrustAnchors.from_files(settings.trust)
    except OSError:
        return
    except ValueError as error:
        report.wrong("webhook", str(error), cause="webhook-files")
        return
    beside = "".join(f", {method}" for method in settings.methods)
    taken = f"takes MESSAGE, INVITE{beside}" if options["application"] == "webhook" else "is told of events only"
    signed = "1 secret" if count == 1 else f"{count} secrets"
    report.ok("webhook", f"{settings.place} {taken}; deliveries are signed with {signed}")
    if settings.is_risky:
        report.note("webhook", "what goes to the hook can be read and changed on the way", cause="clear-text")
    unknown = strangers(settings.events)
    if unknown:
        what = f"nothing here tells of {', '.join(unknown)}"
        report.note("webhook", what, "An application of your own may; see --webhook-events.", "unknown-event")
    trouble = reach(settings.host, settings.port)
    if trouble:
        what = f"{settings.host}:{settings.port} cannot be had at the moment: {trouble}"
        report.note("webhook", what, "Until it can be, what would go there is answered 503.", "webhook-unreachable")
    else:
        report.ok("webhook", f"{settings.host}:{settings.port} takes connections", cause="webhook-reachable")


def _check_hep(options: Options, report: Report, reach: Callable[[str, int], str]) -> None:
    target = options.hep_target
    if target is None:
        return
    where = f"{target.transport}:{target.host}:{target.port}"
    report.ok("hep", f"what passes goes to {where}, under the number {options.hep_agent}")
    if target.transport != "tls":
        report.note("hep", f"{where} is clear text: whoever is on the way reads what passes", cause="clear-text")
    if target.transport != "udp" and (trouble := reach(target.host, target.port)):
        what = f"{where} cannot be had at the moment: {trouble}"
        report.note("hep", what, "Until it can be, what would go there is counted and lost.", "hep-unreachable")


def _check_instruments(options: Options, report: Report) -> None:
    if options.record:
        report.ok("record", f"the newest {options.record} messages of each connection are kept in memory")
    if options["insecure-tls-key-log"] is not None:
        what = f"whoever has {options['insecure-tls-key-log']} reads everything that was captured"
        report.note("insecure-tls-key-log", what, cause="keys-written")
    if options["opentelemetry"] and importlib.util.find_spec("opentelemetry") is None:
        remedy = "install sip-p2p[opentelemetry]"
        report.wrong("opentelemetry", f"its packages are not installed: {remedy}", cause="not-installed")


def _check_workers(options: Options, report: Report) -> None:
    if options.workers > 1:
        port = options["worker-port"]
        own = "any free port" if port is None else f"a port from {port} on"
        report.ok("workers", f"{options.workers} processes share --listen, and each listens on {own} besides")
