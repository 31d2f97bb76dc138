"""What a session has until it stands, on either side: who waits for it, and what the application was asked for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.python.failure import Failure

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p.endpoint.session.session import SignalingSession

__all__ = ["SetUp"]


class SetUp:
    """What :class:`~.calling.Calling` and :class:`~.answering.Answering` have in common.

    :ivar refused: what the application said to an offer of the peer's, which ends the session.
    """

    __slots__ = ("_asked", "_done", "_session", "refused")

    def __init__(self) -> None:
        self._session: SignalingSession | None = None
        self._done: Deferred[SignalingSession] | None = None
        self._asked: Deferred[Any] | None = None
        self.refused: BaseException | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more can come of it."""
        return self._session is None

    def belongs_to(self, session: SignalingSession) -> None:
        """*session* is the one; called once."""
        self._session = session

    def settle(self, error: BaseException | None) -> None:
        """Tell whoever waits for the outcome."""
        session, done = self._session, self._done
        self._done = None
        if done is not None and not done.called and session is not None:
            if error is None:
                done.callback(session)
            else:
                done.errback(Failure(self.refused or error))

    def stop_asking(self) -> None:
        """The application's answer is not wanted any more."""
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.cancel()

    def close(self) -> None:
        """Nothing more comes of it."""
        self.stop_asking()
        self._session = self._done = None
