"""``answer``: everything is answered in one way, which the command line says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.task import deferLater

from sip_p2p.endpoint.session.states import SignalingState
from sip_p2p.errors import SipError
from sip_p2p.service.applications.base import Answer, Application
from sip_p2p.service.silence import Silence
from sip_p2p.service.words import explain
from sip_p2p.sip.dialog.description import ContentDescription

if TYPE_CHECKING:
    from typing import Self

    from twisted.internet.defer import Deferred

    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.endpoint.session.states import SignalingStateChanged
    from sip_p2p.service.applications.setting import ApplicationSetting

__all__ = ["AnswerApplication", "read_body"]

LARGEST_BODY = 65536
"""How many octets the file of ``--answer-body`` may have."""


class AnswerApplication(Application):
    """Answers each message with ``--answer-status``, and accepts each session with what ``--answer-body`` holds, or
    refuses it with that status; without a body it accepts with silence.

    A session rings for ``--answer-after`` seconds before.
    """

    def __init__(self, setting: ApplicationSetting) -> None:
        """
        :raises OSError: when the body cannot be read.
        :raises ValueError: when it is empty, or too large.
        """
        self._happenings = setting.happenings
        self._reactor = setting.reactor
        self._options = setting.options
        self._body = read_body(self._options)

    @classmethod
    def make(cls, setting: ApplicationSetting) -> Self:
        """As the command line says."""
        return cls(setting)

    def message(self, event: IncomingRequest) -> Answer:
        """Answer it with the status."""
        return self._options.answer_status

    async def session(self, session: SignalingSession) -> None:
        """Let it ring for a while, and decide."""
        session.message_received.subscribe(lambda event: self._options.answer_status)
        if self._options.answer_after:
            session.ring()
            if not await self._rung(session):
                return
        if self._options.answer_status >= 300:
            session.reject(self._options.answer_status)
            return
        try:
            await session.accept(Silence(self._body))
        except SipError as error:
            words = explain(error)
            self._happenings.emit("session-failed", call_id=session.call_id, words=words.what, remedy=words.remedy)

    async def _rung(self, session: SignalingSession) -> bool:
        """Wait while it rings; whether it still wants a decision."""
        ringing: Deferred[None] = deferLater(self._reactor, self._options.answer_after)

        def changed(event: SignalingStateChanged) -> None:
            if event.state is SignalingState.DISCONNECTED:
                ringing.cancel()

        session.state_changed.subscribe(changed)
        ringing.addErrback(lambda _: None)
        await ringing
        session.state_changed.unsubscribe(changed)
        return session.state is SignalingState.INCOMING

    def reload(self) -> list[str]:
        """Read the body anew."""
        try:
            body = read_body(self._options)
        except (OSError, ValueError) as error:
            return [f"--answer-body stays as it was: {error}"]
        if body == self._body:
            return []
        self._body = body
        return ["--answer-body was read anew"]


def read_body(options: object) -> ContentDescription | None:
    """The description in the file of ``--answer-body``; None where there is none."""
    path: str | None = options["answer-body"]  # type: ignore[index]
    if path is None:
        return None
    with open(path, "rb") as file:
        octets = file.read(LARGEST_BODY + 1)
    if not octets:
        raise ValueError(f"{path} is empty")
    if len(octets) > LARGEST_BODY:
        raise ValueError(f"{path} has more than {LARGEST_BODY} octets")
    return ContentDescription(octets, options["answer-type"])  # type: ignore[index]
