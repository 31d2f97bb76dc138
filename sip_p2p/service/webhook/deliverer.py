"""All that has to do with the hook, beside the party: questions that wait for its answer, events that it is told of.

One of these lives as long as the service. Whatever the application is, the events that ``--webhook-events`` names go to
the hook; with the application ``webhook`` its answers decide what the party answers.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, final

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from sip_p2p.observe.text import printable
from sip_p2p.service.parts import Part
from sip_p2p.service.webhook.breaker import Breaker
from sip_p2p.service.webhook.failure import FailureKind, HookFailure
from sip_p2p.service.webhook.outbox import Letter, Outbox
from sip_p2p.service.webhook.payload import envelope
from sip_p2p.service.webhook.poster import Poster, make_agent
from sip_p2p.service.webhook.questions import Questions
from sip_p2p.service.webhook.signature import parse_secrets, signature_fields
from sip_p2p.transport.throttle import LogBounds, ThrottledLog
from sip_p2p.transport.trust.credential import TrustAnchors
from sip_p2p.transport.trust.https import HttpsPolicy, system_authorities

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twisted.internet.interfaces import IReactorTime
    from twisted.web.iweb import IAgent

    from sip_p2p.service.happenings import Happening, Happenings
    from sip_p2p.service.settings.options import Options
    from sip_p2p.service.settings.webhook_options import WebhookSettings

__all__ = ["LAST_MOMENT", "Deliverer"]

T = TypeVar("T")

LAST_MOMENT = 1.0
"""For how many seconds the last events are delivered when the party is gone."""

_OWN = "webhook-"
# For what a stop still has to do when the last question is over.
_SPARE = 0.25


@final
class Deliverer(Part):
    """Everything that goes to the hook.

    :ivar settings: what was asked for.
    :ivar breaker: whether the hook is left alone.
    :ivar answered: how many questions have had their answer.
    :ivar unanswered: how many have not.
    :ivar failures: the same by how the hook has failed.
    :param agent: makes the HTTP requests; by default over the network.
    :param clock: seconds since 1970.
    :param token: makes the ids of deliveries.
    :raises ValueError: a file cannot be used; one line that names it.
    """

    def __init__(
        self,
        reactor: IReactorTime,
        happenings: Happenings,
        settings: WebhookSettings,
        *,
        drain: float = 5.0,
        agent: IAgent | None = None,
        clock: Callable[[], float] = time.time,
        token: Callable[[], str] = lambda: f"msg_{secrets.token_hex(16)}",
    ) -> None:
        self.settings = settings
        self._happenings = happenings
        self._drain = drain
        self._clock = clock
        self._token = token
        self._reactor = reactor
        self._log = ThrottledLog("sip_p2p.service.webhook", reactor.seconds, LogBounds())
        self._secrets = _read_secrets(settings.secret_file)
        self._policy = HttpsPolicy(_authorities(settings.trust)) if settings.is_secure else None
        if agent is None:
            agent = make_agent(reactor, self._policy, settings.concurrency, settings.timeout)
        self._agent = agent
        self._poster = Poster(agent, settings.url, self._refusal)
        self.breaker = Breaker()
        self._questions = Questions(
            reactor,
            self._post,
            self.breaker,
            timeout=settings.timeout,
            patience=settings.patience,
            concurrency=settings.concurrency,
            told=self._tell_breaker,
        )
        self._outbox = Outbox(
            reactor, self._post, self.breaker, self._lost, timeout=settings.timeout, told=self._tell_breaker
        )
        self._leave = happenings.follow(self._happened) if settings.events else _nothing
        self.answered = 0
        self.unanswered = 0
        self.failures = dict.fromkeys(FailureKind, 0)

    @classmethod
    def from_options(cls, reactor: IReactorTime, happenings: Happenings, options: Options) -> Deliverer | None:
        """As the command line says; None without ``--webhook``.

        :raises ValueError: a file cannot be used.
        """
        settings = options.webhook
        return None if settings is None else cls(reactor, happenings, settings, drain=options.drain)

    @property
    def counters(self) -> dict[str, int]:
        """What there is to count: ``answered``, ``unanswered``, ``tries``, ``waiting`` of the questions; ``delivered``,
        ``lost``, ``queued`` of the events; ``left_alone``: 1 while the hook is."""
        return {
            "answered": self.answered,
            "unanswered": self.unanswered,
            "tries": self._questions.tries,
            "waiting": self._questions.waiting,
            "delivered": self._outbox.delivered,
            "lost": self._outbox.lost,
            "queued": len(self._outbox),
            "left_alone": int(self.breaker.is_open),
        }

    def ask(self, kind: str, data: Mapping[str, object], read: Callable[[bytes], T], call_id: str = "") -> Deferred[T]:
        """Ask the hook, and wait for what it says.

        :param kind: the delivery's type.
        :param read: makes of the answer what it means; a ``ValueError`` is one that cannot be read.
        :returns: fails with :class:`.HookFailure`; the event ``webhook-failed`` has told of it then.
        """
        delivery = self._token()
        asked = self._questions.ask(delivery, envelope(kind, self._clock(), data), read)
        return asked.addCallbacks(self._is_answered, self._failed, errbackArgs=(delivery, kind, call_id))

    def tell(self, kind: str, data: Mapping[str, object], key: str = "") -> None:
        """Tell the hook, whatever it says to that.

        :param key: those with one key are told in order.
        """
        now = self._clock()
        self._outbox.put(Letter(self._token(), kind, envelope(kind, now, data), key or kind, self._reactor.seconds()))

    # -- its life ------------------------------------------------------------------------------------------------------

    def started(self) -> None:
        """Tell where deliveries go, and what is dangerous about it."""
        logger = Logger("sip_p2p.service.webhook")
        logger.info("webhook: deliveries go to {place}", place=self.settings.place)
        if self.settings.is_risky:
            self._log.warn(
                "--webhook-allow-clear-text: deliveries to {place} can be read and changed by everybody in between",
                place=self.settings.place,
            )

    def reload(self) -> list[str]:
        """Read the secrets and the authorities anew; what cannot be read leaves the old in use, and the log says so."""
        changes = []
        try:
            found = _read_secrets(self.settings.secret_file)
            if found != self._secrets:
                self._secrets = found
                changes.append(f"{len(found)} webhook secrets from {self.settings.secret_file}")
        except ValueError as error:
            self._log.warn("{error}: the old ones stay in use", error=str(error))
        if self._policy is not None:
            try:
                self._policy.replace_trust(_authorities(self.settings.trust))
            except ValueError as error:
                self._log.warn("{error}: the old ones stay in use", error=str(error))
        return changes

    def stopping(self) -> None:
        """Whoever waits for the hook is answered before the stop is over, with 503 if need be."""
        self._questions.hurry(max(self._drain - _SPARE, self._drain / 2))

    def drain(self) -> Deferred[None]:
        """Deliver what is left of the events; fires when nothing is."""
        return self._outbox.drain()

    def ended(self) -> Deferred[None] | None:
        """Close everything; what is left of the events, and is not delivered within a moment, is lost, and counted."""
        self._leave()
        self._questions.close()
        last = self._outbox.drain()
        last.addTimeout(LAST_MOMENT, self._reactor, onTimeoutCancel=lambda _, __: None)
        return last.addCallback(self._close)

    def _close(self, _: object) -> Deferred[None] | None:
        self._outbox.close()
        if self._outbox.lost:
            self._log.warn("webhook: {lost} events were lost in all", lost=self._outbox.lost)
        close = getattr(self._agent, "close", None)
        return None if close is None else maybeDeferred(close).addCallback(_nothing)

    # -- inside --------------------------------------------------------------------------------------------------------

    def _post(self, delivery: str, body: bytes) -> Deferred[bytes]:
        fields = signature_fields(self._secrets, delivery, int(self._clock()), body)
        return self._poster.post(body, fields)

    def _refusal(self) -> Any:
        return None if self._policy is None else self._policy.refusal_of(self.settings.host, self.settings.port)

    def _is_answered(self, answer: T) -> T:
        self.answered += 1
        return answer

    def _failed(self, failure: Failure, delivery: str, kind: str, call_id: str) -> Failure:
        self.unanswered += 1
        error = failure.value
        if isinstance(error, HookFailure):
            self.failures[error.kind] += 1
            fields: dict[str, object] = {"call_id": call_id} if call_id else {}
            words = printable(error.detail, 256)
            self._happenings.emit(
                "webhook-failed", delivery=delivery, type=kind, reason=error.kind.words, words=words, **fields
            )
            self._log.warn("webhook: {kind} {delivery}: {error}", kind=kind, delivery=delivery, error=str(error))
        return failure

    def _happened(self, happening: Happening) -> None:
        """One of the events that the hook is told of."""
        event = happening.event
        if event not in self.settings.events or event.startswith(_OWN):
            return
        key = str(happening.fields.get("call_id") or event)
        data = {"number": happening.number, **happening.fields}
        body = envelope(event, happening.at, data)
        self._outbox.put(Letter(self._token(), event, body, key, self._reactor.seconds()))

    def _lost(self, letter: Letter, why: str) -> None:
        words = printable(why, 256)
        self._happenings.emit(
            "webhook-lost", delivery=letter.delivery, type=letter.kind, words=words, lost=self._outbox.lost
        )
        self._log.warn("webhook: {kind} {delivery} is lost: {why}", kind=letter.kind, delivery=letter.delivery, why=why)

    def _tell_breaker(self, is_open: bool) -> None:
        place = self.settings.place
        if not is_open:
            self._happenings.emit("webhook-state", state="asked", place=place)
            self._log.info("webhook: {place} is asked again", place=place)
            return
        words = printable(self.breaker.trouble, 256)
        self._happenings.emit("webhook-state", state="left-alone", place=place, words=words)
        self._log.warn("webhook: {place} is left alone for a while: {why}", place=place, why=words)


def _nothing(_: object = None) -> None:
    """Nothing is left to do."""


def _read_secrets(path: str) -> tuple[bytes, ...]:
    """The secrets in a file.

    :raises ValueError: one line that names it.
    """
    try:
        text = Path(path).read_text("ascii")
    except OSError as error:
        raise ValueError(f"the webhook secrets {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"the webhook secrets {path} are no text") from None
    try:
        return parse_secrets(text)
    except ValueError as error:
        raise ValueError(f"the webhook secrets {path}: {error}") from None


def _authorities(path: str | None) -> TrustAnchors:
    return system_authorities() if path is None else TrustAnchors.from_files(path)
