"""The options of the webhook: where deliveries go, how they are signed, whom we believe there, how long we wait."""

from __future__ import annotations

import ipaddress
from typing import ClassVar, NamedTuple
from urllib.parse import SplitResult, urlsplit

from twisted.python import usage

from sip_p2p.observe.text import printable
from sip_p2p.service.settings.command_line import CommandOptions, file_path, seconds
from sip_p2p.sip.abnf import TOKEN
from sip_p2p.transport.trust.identity import is_ip_address, normalise_name

__all__ = ["LONGEST_PATIENCE", "MOST_CONCURRENT", "USUAL_EVENTS", "WebhookOptions", "WebhookSettings"]

LONGEST_PATIENCE = 30.0
"""For how many seconds a request may wait for the hook at most: the sender gives up after 32 (RFC 3261 17.1.2.2)."""

MOST_CONCURRENT = 256
"""How many deliveries may be under way at once at most."""

USUAL_EVENTS = ("session-state", "state")
"""The events that the hook is told of where ``--webhook-events`` names none."""

_OWN_METHODS = {
    "MESSAGE": "goes to the hook anyway",
    "INVITE": "goes to the hook anyway",
    "ACK": "is answered by nobody",
    "CANCEL": "is answered by the stack",
    "BYE": "is answered by the stack",
    "PRACK": "is answered by the stack",
    "UPDATE": "is answered by the stack",
}


class WebhookSettings(NamedTuple):
    """What the options say.

    :ivar url: where deliveries go.
    :ivar place: the same for logs, without what may be secret in it.
    :ivar host: its host in normal form.
    :ivar port: its port.
    :ivar is_secure: whether it is ``https``.
    :ivar is_risky: whether it is clear text beyond this machine.
    :ivar secret_file: where the secrets stand.
    :ivar trust: who may vouch for the hook; None for the authorities of this machine.
    :ivar methods: the methods beside MESSAGE and INVITE whose requests go to the hook.
    :ivar events: the events that it is told of.
    :ivar timeout: how long one delivery may take, in seconds.
    :ivar patience: how long a request waits for the hook in all.
    :ivar concurrency: how many deliveries are under way at once.
    """

    url: str
    place: str
    host: str
    port: int
    is_secure: bool
    is_risky: bool
    secret_file: str
    trust: str | None = None
    methods: tuple[str, ...] = ()
    events: frozenset[str] = frozenset(USUAL_EVENTS)
    timeout: float = 5.0
    patience: float = 20.0
    concurrency: int = 16


class WebhookOptions(CommandOptions):
    """Where deliveries go, and on what terms."""

    optParameters: ClassVar = [
        ["webhook", None, None, "https URL to which what comes in is POSTed, for --application webhook, and events"],
        [
            "webhook-secret-file",
            None,
            None,
            "file with the secrets that deliveries are signed with: whsec_..., one a line",
        ],
        ["webhook-trust", None, None, "PEM file with the authorities that may vouch for the hook, not this machine's"],
        ["webhook-methods", None, None, "methods beside MESSAGE and INVITE that go to the hook: INFO,NOTIFY"],
        ["webhook-events", None, None, "events that the hook is told of, with commas, or none; session-state,state"],
        ["webhook-timeout", None, None, "how many seconds one delivery may take; 5 without it"],
        ["webhook-patience", None, None, "for how many seconds a request waits for the hook before 503; 20 without it"],
        ["webhook-concurrency", None, None, "how many deliveries are under way at once; 16 without it"],
    ]

    optFlags: ClassVar = [
        [
            "webhook-allow-clear-text",
            None,
            "deliver to http beyond this machine, where everybody can read and change it",
        ],
    ]

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.webhook: WebhookSettings | None = None

    def postOptions(self) -> None:
        """Check what can be checked without touching a file.

        :raises UsageError: for a value that is none, and for options that contradict each other.
        """
        super().postOptions()  # type: ignore[no-untyped-call]
        if self["webhook"] is None:
            for name in _NAMES:
                if self[name]:
                    raise usage.UsageError(f"--{name} is given without --webhook: where would deliveries go?")
            if self.get("application") == "webhook":
                raise usage.UsageError("--application webhook needs --webhook: where do deliveries go?")
            return
        for name in ("webhook-secret-file", "webhook-trust"):
            if self[name] is not None:
                self[name] = file_path(name, self[name])
        if self["webhook-secret-file"] is None:
            raise usage.UsageError(
                "--webhook is given without --webhook-secret-file: the hook could not tell our deliveries from others"
            )
        self.webhook = self._settings()

    def _settings(self) -> WebhookSettings:
        url = str(self["webhook"])
        parts, host, port = _split(url)
        is_secure = parts.scheme == "https"
        is_risky = not is_secure and not _is_here(host)
        if is_risky and not self["webhook-allow-clear-text"]:
            raise usage.UsageError(
                "--webhook is http beyond this machine, where everybody can read and change what goes there: use https"
            )
        if self["webhook-trust"] is not None and not is_secure:
            raise usage.UsageError("--webhook-trust is given, and --webhook is not https: nobody proves anything there")
        patience = self._seconds("webhook-patience", 20.0)
        if patience > LONGEST_PATIENCE:
            raise usage.UsageError(
                f"--webhook-patience is more than {LONGEST_PATIENCE:g} seconds: by then nobody waits any more"
            )
        shown = f"[{host}]" if ":" in host else host
        return WebhookSettings(
            url,
            f"{parts.scheme}://{shown}:{port}{printable(parts.path)}",
            host,
            port,
            is_secure,
            is_risky,
            self["webhook-secret-file"],
            self["webhook-trust"],
            self._methods(),
            self._events(),
            min(self._seconds("webhook-timeout", 5.0), patience),
            patience,
            self._concurrency(),
        )

    def _seconds(self, name: str, usual: float) -> float:
        return usual if self[name] is None else seconds(name, self[name], least=0.1)

    def _methods(self) -> tuple[str, ...]:
        found = []
        for method in _listed(self["webhook-methods"]):
            if TOKEN.fullmatch(method) is None:
                raise usage.UsageError(f"--webhook-methods: {printable(method)} is no method")
            if method in _OWN_METHODS:
                raise usage.UsageError(f"--webhook-methods: {method} {_OWN_METHODS[method]}")
            found.append(method)
        return tuple(dict.fromkeys(found))

    def _events(self) -> frozenset[str]:
        text = self["webhook-events"]
        if text is None:
            return frozenset(USUAL_EVENTS)
        if text == "none":
            return frozenset()
        for name in _listed(text):
            if not name.replace("-", "a").isalnum() or not name.islower() or name.startswith("webhook-"):
                raise usage.UsageError(f"--webhook-events: {printable(name)} is no event such as session-state")
        return frozenset(_listed(text))

    def _concurrency(self) -> int:
        text = self["webhook-concurrency"]
        if text is None:
            return 16
        if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MOST_CONCURRENT):
            raise usage.UsageError(f"--webhook-concurrency {printable(text)} is no number from 1 to {MOST_CONCURRENT}")
        return int(text)


_NAMES = tuple(str(entry[0]) for entry in (*WebhookOptions.optParameters[1:], *WebhookOptions.optFlags))


def _listed(text: str | None) -> list[str]:
    return [each.strip() for each in (text or "").split(",") if each.strip()]


def _split(url: str) -> tuple[SplitResult, str, int]:
    """The parts of the URL, its host in normal form, and its port.

    :raises UsageError: it is none that deliveries can go to. What stands in it is not repeated: it may be secret.
    """
    problem = ""
    try:
        parts = urlsplit(url)
        host, port = normalise_name(parts.hostname or ""), parts.port
    except ValueError:
        raise usage.UsageError("--webhook is no URL such as https://hook.example/sip") from None
    if parts.scheme not in ("http", "https"):
        problem = "begins with neither https nor http"
    elif not url.isascii() or not url.isprintable() or " " in url:
        problem = "holds characters that no URL holds: escape them with %"
    elif "@" in parts.netloc:
        problem = "holds a user or a password: deliveries are signed, and need neither"
    elif "#" in url:
        problem = "has a fragment, which no server sees"
    elif port == 0:
        problem = "names the port 0"
    if problem:
        raise usage.UsageError(f"--webhook {problem}")
    return parts, host, port or (443 if parts.scheme == "https" else 80)


def _is_here(host: str) -> bool:
    """Whether *host*, in normal form, is this machine (RFC 6761 section 6.3)."""
    if is_ip_address(host):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")
