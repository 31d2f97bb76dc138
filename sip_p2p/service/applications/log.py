"""``log``: everything that happens is one JSON line; messages are accepted, and sessions refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.service.applications.base import Answer, Application

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Self

    from sip_p2p.endpoint.endpoint import SipPeerToPeerEndpoint
    from sip_p2p.endpoint.incoming import IncomingRequest
    from sip_p2p.endpoint.session.session import SignalingSession
    from sip_p2p.service.applications.setting import ApplicationSetting

__all__ = ["LogApplication"]


class LogApplication(Application):
    """Tells everything that happens, one JSON object a line; accepts messages, and refuses sessions with 480.

    The lines hold what the peers wrote: they are this application's product, and belong to whoever started it.

    :ivar happenings: where to tell what it does by itself.
    """

    def __init__(self, setting: ApplicationSetting) -> None:
        self.happenings = setting.happenings
        self._lines = setting.lines

    @classmethod
    def make(cls, setting: ApplicationSetting) -> Self:
        """It writes where *setting* says."""
        return cls(setting)

    def started(self, endpoint: SipPeerToPeerEndpoint) -> None:
        """Write what happens from now on, to the very end."""
        self.happenings.follow(self._lines.tell)

    def message(self, event: IncomingRequest) -> Answer:
        """Accept it."""
        return None

    def session(self, session: SignalingSession) -> Awaitable[object] | None:
        """Refuse it: here is nobody to talk to."""
        session.reject(480)
        return None
