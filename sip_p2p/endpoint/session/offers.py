"""Where an application's offers and answers come from (rows H22 to H24; RFC 3264, RFC 6337).

An application says what it offers, and what it answers with, in one of these ways:

* not at all (``None``): the INVITE goes without an offer, and the peer is asked to make one (a late offer);
* as text or octets, which are SDP, a :class:`~sip_p2p.sdp.description.SessionDescription` or whatever else has octets
  to give (``bytes(offer)``), or as a :class:`~sip_p2p.sip.dialog.description.ContentDescription` of any type;
* with an object that provides :class:`IOfferAnswer`, which is asked when it is needed. What it returns may be any of
  the above, or a ``Deferred`` or a coroutine of these.

What such an object raises never gets further than here: :class:`~sip_p2p.errors.OfferRejected` becomes the refusal that
it asks for (488), everything else is logged and becomes 500, and what takes longer than ``limits.answer_timeout``
becomes 504.

Where in a session an offer or an answer may stand is the business of :mod:`sip_p2p.sip.dialog.offer_answer`.
"""

from __future__ import annotations

from inspect import iscoroutine
from typing import TYPE_CHECKING, Any, SupportsBytes, TypeAlias, final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

from sip_p2p.errors import MalformedMessage, OfferRejected, OperationTimeout
from sip_p2p.sip.dialog.description import ContentDescription

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.endpoint.session.session import SignalingSession

__all__ = ["Description", "Fixed", "IOfferAnswer", "ask", "described", "refusal_of", "source_of", "tell_source"]

Description: TypeAlias = ContentDescription | SupportsBytes | str | bytes | None
"""What may be given for an offer or an answer."""


class IOfferAnswer(Interface):
    """Who makes the offers and answers of a session, and is given the peer's.

    Each method may return a ``Deferred`` or a coroutine; each may raise, :class:`~sip_p2p.errors.OfferRejected` above
    all.
    """

    def get_offer(session: SignalingSession) -> Description | Awaitable[Description]:
        """The offer for an INVITE of ours, or for a peer that asked us to make one.

        None sends the INVITE without an offer; to a peer that asked for one it means that there will be none.
        """

    def get_answer(session: SignalingSession, offer: ContentDescription) -> Description | Awaitable[Description]:
        """The answer to *offer*, at the beginning of a session or within it (``session.state`` tells)."""

    def set_answer(session: SignalingSession, answer: ContentDescription) -> Awaitable[object] | None:
        """The peer has answered our offer. What is raised ends the session: there is no further step (RFC 3264)."""


@final
@implementer(IOfferAnswer)
class Fixed:
    """One description that is offered or answered with, whatever the peer says.

    :ivar description: it; None for no offer.
    """

    __slots__ = ("description",)

    def __init__(self, description: ContentDescription | None) -> None:
        self.description = description

    def get_offer(self, session: SignalingSession) -> ContentDescription | None:
        """The description."""
        return self.description

    def get_answer(self, session: SignalingSession, offer: ContentDescription) -> ContentDescription | None:
        """The description."""
        return self.description

    def set_answer(self, session: SignalingSession, answer: ContentDescription) -> None:
        """Whatever it is."""


def described(given: Description) -> ContentDescription | None:
    """*given* as a description: text and octets are SDP, and so are those of whatever has some to give.

    :raises TypeError: for what is none of them.
    :raises ValueError: for one without octets.
    """
    if given is None or isinstance(given, ContentDescription):
        return given
    if isinstance(given, str | bytes):
        return ContentDescription(given)
    if isinstance(given, SupportsBytes):
        return ContentDescription(bytes(given))
    raise TypeError(f"an offer or an answer is text, octets or a ContentDescription, not {type(given).__name__}")


def source_of(given: Any) -> Any:
    """*given* as an :class:`IOfferAnswer`.

    :raises TypeError: for what is none, and cannot be made one.
    :raises ValueError: for a description without octets.
    """
    return given if IOfferAnswer.providedBy(given) else Fixed(described(given))


def ask(
    reactor: IReactorTime, seconds: float, question: Callable[..., Any], *arguments: Any
) -> Deferred[ContentDescription | None]:
    """Ask the application; the Deferred fires at once where it answers at once.

    :param seconds: how long it may take.
    :returns: what it said; fails with what it raised, with :class:`~sip_p2p.errors.OperationTimeout`, or, when
        cancelled, with :class:`~twisted.internet.defer.CancelledError`.
    """
    try:
        result = question(*arguments)
        if not iscoroutine(result) and not isinstance(result, Deferred):
            return succeed(described(result))
    except KeyboardInterrupt:
        raise
    except BaseException:
        return fail(Failure())
    asked: Deferred[Any] = Deferred.fromCoroutine(result) if iscoroutine(result) else result
    answered: Deferred[Any] = Deferred(lambda _: asked.cancel())
    # A Deferred of the application's own stays its own: what is added here leaves nothing in it, and a cancelled one
    # that fires all the same has nobody to tell.
    asked.addCallbacks(
        lambda value: None if answered.called else answered.callback(value),
        lambda failure: None if answered.called else answered.errback(failure),
    )
    answered.addCallback(described)
    words = f"the application has not answered within {seconds:g} s"
    return answered.addTimeout(seconds, reactor, onTimeoutCancel=lambda _, __: Failure(OperationTimeout(words)))


def refusal_of(failure: Failure) -> int:
    """The status with which an offer is refused whose answer *failure* is."""
    error = failure.value
    if isinstance(error, OfferRejected | MalformedMessage):
        return error.status
    return 504 if isinstance(error, OperationTimeout) else 500


def tell_source(session: SignalingSession, description: ContentDescription) -> None:
    """Let whoever made our offer know of the answer."""
    source = session.source
    if source is None or isinstance(source, Fixed):
        return
    manager = session.endpoint.connection_manager
    heard = ask(manager.reactor, manager.limits.answer_timeout, _heard, source, session, description)
    heard.addErrback(_not_acceptable, session)
    session.keep_asking(heard)


def _heard(source: Any, session: SignalingSession, answer: ContentDescription) -> Any:
    """Tell *source*; what it returns matters only where it is to be waited for."""
    result = source.set_answer(session, answer)
    if iscoroutine(result):
        result = Deferred.fromCoroutine(result)
    return result.addCallback(lambda _: None) if isinstance(result, Deferred) else None


def _not_acceptable(failure: Failure, session: SignalingSession) -> None:
    """RFC 3264 knows no answer to an answer: a session that cannot be is ended, with the reason (RFC 3326)."""
    status = refusal_of(failure)
    if session.is_over:
        return
    if not isinstance(failure.value, OfferRejected):
        session.failed(failure)
    session.terminate(reason=f"SIP;cause={status}")
