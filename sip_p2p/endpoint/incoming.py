"""A request that reached an application, and the one answer that it gets (rows B6 to B10, faults K1 to K6)."""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, cast, final

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from sip_p2p.endpoint.peer import Peer
from sip_p2p.endpoint.thread import check_thread
from sip_p2p.errors import AlreadyResponded, MalformedMessage
from sip_p2p.sip.compose import application_fields
from sip_p2p.sip.fields import parse_max_forwards
from sip_p2p.sip.message import Response
from sip_p2p.sip.outputs import RequestReceived
from sip_p2p.sip.privacy import NETWORK_FIELDS, asserted_identities, parse_privacy
from sip_p2p.sip.transaction.base import TransactionState
from sip_p2p.sip.uri import SipUri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from sip_p2p.endpoint.connection_manager import RealTimeConnectionManager
    from sip_p2p.endpoint.endpoint import RealTimeEndpoint
    from sip_p2p.endpoint.identity.verdict import PassportVerdict
    from sip_p2p.sip.body import MediaType
    from sip_p2p.sip.dialog.effects import InDialogRequestReceived
    from sip_p2p.sip.fields import NameAddr
    from sip_p2p.sip.message import Request
    from sip_p2p.transport.flow import LiveFlow

    RequestHandler: TypeAlias = Callable[["IncomingRequest"], Any]

__all__ = ["IncomingRequest"]


@final
class IncomingRequest:
    """What a handler is given.

    A handler answers in one of these ways; the first final answer counts and everything after it is
    :class:`~sip_p2p.errors.AlreadyResponded`:

    * it returns ``None``: 200 OK;
    * it returns a status (``int``) or a :class:`~sip_p2p.sip.message.Response` made with :meth:`response`;
    * it returns a ``Deferred`` or a coroutine whose result is one of these;
    * it calls :meth:`respond`, at once or later, after having called :meth:`defer`.

    An exception is logged with its traceback and answered 500. Nothing is sent twice, and nothing after the peer has
    gone.

    :ivar request: the request itself.
    :ivar flow: what it came by, and where its answer goes.
    :ivar transaction: the server transaction that the answer goes through.
    :ivar passport: the judgement on its signature (RFC 8224); None where the endpoint has no verifier, or the verifier
        does not look at such requests.
    """

    __slots__ = ("_deferred", "_manager", "_pending", "_profile", "flow", "passport", "request", "transaction")

    def __init__(self, manager: RealTimeConnectionManager, output: RequestReceived | InDialogRequestReceived) -> None:
        self._manager = manager
        self.transaction = output.transaction
        self.request: Request = output.request
        self._profile = output.profile if isinstance(output, RequestReceived) else output.dialog.profile
        self.flow = cast("LiveFlow", output.flow)
        self._deferred = False
        self._pending: Deferred[object] | None = None
        self.passport: PassportVerdict | None = None

    @property
    def peer(self) -> Peer:
        """Who sent it, as far as that was verified."""
        return Peer(self.flow)

    @property
    def authenticated_as(self) -> str:
        """The user name whose password its sender knows, where the endpoint has an authenticator that asked; else empty
        (row F10). From says nothing of it: who may speak as whom is for the application to know, unless
        :attr:`is_authenticated_sender` says so."""
        return self.transaction.authenticated_as

    @property
    def is_authenticated_sender(self) -> bool:
        """Whether the address in From is that of the user whose password its sender knows: ``sip:alice@b.example`` is
        Alice's in the realm ``b.example``; a user name that is an address stands for this one alone.

        :raises MalformedMessage: when the URI in From cannot be read.
        """
        judgement = self.transaction.judgement
        if judgement is None or not judgement.address:
            return False
        uri = self.request.from_.uri
        user, _, host = judgement.address.rpartition("@")
        return isinstance(uri, SipUri) and uri.user == user and uri.host.lower() == host.lower()

    @property
    def method(self) -> str:
        """The method."""
        return self.request.method

    @property
    def body(self) -> bytes:
        """The body's octets."""
        return self.request.body

    @property
    def content_type(self) -> MediaType | None:
        """The body's type."""
        return self.request.content_type

    @property
    def text(self) -> str:
        """The body, decoded by its charset (row B7).

        :raises ValueError: when it is not text in that charset; :attr:`body` always works.
        """
        return self.request.text()

    @property
    def from_(self) -> NameAddr:
        """Who claims to have sent it; only :attr:`peer` is proved."""
        return self.request.from_

    @property
    def asserted_identities(self) -> tuple[NameAddr, ...]:
        """Who the network says that it is from (RFC 3325): P-Asserted-Identity of a peer that is trusted for that, and
        nothing of anybody else's.

        :raises MalformedMessage: when it cannot be read.
        """
        return asserted_identities(self.request.headers)

    @property
    def privacy(self) -> frozenset[str]:
        """What its sender does not want to be passed on, in small letters: ``user``, ``id``, ... (RFC 3323 section
        4.2).

        :raises MalformedMessage: when it cannot be read.
        """
        return parse_privacy(self.request.headers)

    @property
    def is_verified_sender(self) -> bool:
        """Whether the peer has proved the domain in From; otherwise From is a claim: on clear text, from a trusted
        proxy, from ``anonymous.invalid``, or where the policy lets every From through.

        :raises MalformedMessage: when the URI in From cannot be read.
        """
        return self.peer.proves(self.request.from_.uri)

    @property
    def is_proved_sender(self) -> bool:
        """Whether the address in From is proved, by TLS (:attr:`is_verified_sender`) or by a password
        (:attr:`is_authenticated_sender`).

        :raises MalformedMessage: when the URI in From cannot be read.
        """
        return self.is_verified_sender or self.is_authenticated_sender

    @property
    def max_forwards(self) -> int:
        """How many more hops the request may take; 70 where it does not say (RFC 3261 sections 8.1.1.6 and 16.6).

        For applications that pass on what they receive (RFC 7332): at 0 answer 483, otherwise send one less.
        """
        value = self.request.headers.get("Max-Forwards")
        number = None if value is None else parse_max_forwards(value)
        return 70 if number is None else number

    @property
    def to(self) -> NameAddr:
        """Whom it is for."""
        return self.request.to

    @property
    def call_id(self) -> str:
        """The Call-ID."""
        return self.request.call_id

    @property
    def is_answered(self) -> bool:
        """Whether no further answer is possible: a final one was given, or the peer has gone."""
        return self.transaction.is_final_sent or self.transaction.state is TransactionState.TERMINATED

    def response(
        self,
        status: int,
        reason: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | str = b"",
        content_type: str | None = None,
    ) -> Response:
        """Make a response to this request, to be returned by the handler or given to :meth:`respond`.

        :param status: 100 to 699.
        :param reason: the phrase; by default the usual one of *status*.
        :raises ValueError: for a status outside 100 to 699, header fields that cannot be, or a body in a 2xx to a
            MESSAGE, which has none (RFC 3428 section 7).
        :raises RestrictedHeader: for a field that the stack sets itself.
        """
        if reason is not None or not 200 <= status <= 699:
            # Made only to be checked: what the core makes of it is trusted.
            Response(status, reason)
        response = self._manager.core.response(self.transaction, status, reason)
        if headers:
            for name, value in application_fields(headers):
                if name not in NETWORK_FIELDS or self._is_in_trust_domain:
                    response.headers.add(name, value)
        octets = body.encode("utf-8") if isinstance(body, str) else body
        if octets:
            if response.status < 300 and self.transaction.method == "MESSAGE":
                raise ValueError("a 2xx to a MESSAGE has no body (RFC 3428 section 7): send a MESSAGE of your own")
            if content_type is None and isinstance(body, str):
                content_type = "text/plain; charset=UTF-8"
            if content_type is None:
                raise ValueError("a body needs a content type (RFC 3261 section 7.4.1)")
            response.headers.add("Content-Type", content_type)
            response.body = octets
        return response

    def respond(
        self,
        answer: int | Response,
        reason: str | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | str = b"",
        content_type: str | None = None,
    ) -> None:
        """Answer now. A provisional status leaves the final answer open.

        :param answer: a status from 100 to 699, or a response made with :meth:`response`.
        :raises AlreadyResponded: when a final answer was given before, or nobody waits for one any more.
        :raises ValueError: as :meth:`response`.
        """
        check_thread()
        if isinstance(answer, Response):
            response = answer
        else:
            response = self.response(answer, reason, headers=headers, body=body, content_type=content_type)
        if self.is_answered:
            raise AlreadyResponded(f"the {self.method} has been answered, or its sender has gone")
        self._manager.driver.respond(self.transaction, response)
        if response.is_final:
            self._manager.dispatch.request_answered(self)

    def defer(self) -> None:
        """Tell that :meth:`respond` will be called later: the handler's ``None`` is then no answer."""
        self._deferred = True

    @property
    def _is_in_trust_domain(self) -> bool:
        """Whether its sender may see whom our network takes others for (RFC 3325 section 5)."""
        endpoint = None if self._profile is None else cast("RealTimeEndpoint", self._profile.user)
        return endpoint is not None and endpoint.trust_domain.includes(self.flow)

    def wait_for(self, pending: Deferred[Any]) -> None:
        """Cancel *pending* when nobody waits for the answer any more; called by the library."""
        self._pending = pending

    def abandoned(self) -> None:
        """Nobody waits for the answer any more: what the application still does for it is cancelled."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()

    def run(self, handlers: tuple[RequestHandler, ...]) -> None:
        """Ask the handlers in order; the first that has an answer gives it, and all of them are asked."""
        decided: object = None
        result: object = None
        for handler in handlers:
            try:
                result = handler(self)
            except KeyboardInterrupt:
                raise
            except BaseException:
                result = Failure()
            if decided is None:
                decided = result
            elif isinstance(result, Failure):
                self._log(result)
            elif iscoroutine(result) or isinstance(result, Deferred):
                self._watch(result)
        if decided is None:
            self._settle(None)
        else:
            self._conclude(decided)
        # A Failure knows the frames in which it arose, and this is one of them: with a name here it would keep itself
        # alive, and the request with it.
        del decided, result

    def _watch(self, result: object) -> None:
        """A later handler's unfinished work: let it finish, and report what it raises."""
        deferred = _as_deferred(result)
        deferred.addErrback(self._log)

    def _conclude(self, result: object) -> None:
        if iscoroutine(result) or isinstance(result, Deferred):
            deferred = _as_deferred(result)
            self._pending = deferred
            deferred.addCallbacks(self._settle, self._fail)
        elif isinstance(result, Failure):
            self._fail(result)
        else:
            self._settle(result)

    def _settle(self, result: object) -> None:
        self._pending = None
        if self.is_answered or (result is None and self._deferred):
            return
        try:
            if result is None:
                self._accept()
            elif isinstance(result, Response) or (isinstance(result, int) and not isinstance(result, bool)):
                self.respond(result)
            else:
                kind = type(result).__name__
                raise TypeError(f"a handler answers with None, a status, a Response or a Deferred of these, not {kind}")
        except AlreadyResponded:
            return
        except Exception:
            self._fail(Failure())

    def _accept(self) -> None:
        """200 with nothing in it, which is what nearly every request gets: :meth:`respond` without its checks."""
        manager = self._manager
        manager.driver.respond(self.transaction, manager.core.response(self.transaction, 200))
        manager.dispatch.request_answered(self)

    def _fail(self, failure: Failure) -> None:
        self._pending = None
        if failure.check(CancelledError) and self.is_answered:
            return
        status = 500
        error = failure.value
        if isinstance(error, MalformedMessage):
            # The handler read a field that the peer wrote badly.
            status = error.status
        else:
            self._log(failure)
        if not self.is_answered:
            self.respond(status)

    def _log(self, failure: Failure) -> None:
        self._manager.dispatch.handler_failed(self.method, failure)

    def __repr__(self) -> str:
        return f"<IncomingRequest {self.method[:32]} from {self.peer.identity or self.peer.address}>"


def _as_deferred(result: Any) -> Deferred[Any]:
    return result if isinstance(result, Deferred) else Deferred.fromCoroutine(result)
