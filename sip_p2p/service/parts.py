"""What stands beside the party in a service: each is started after it, and has ended before it is gone.

The HTTP API, the instruments that look at the wire and whoever tells a supervisor how we are: none of them is needed to
speak SIP, each can be left out, and the service treats all of them alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p.service.settings.options import Options

__all__ = ["Part"]


class Part:
    """One of them. Every method may be left out."""

    def listen(self) -> Deferred[None] | None:
        """Bind what has to be bound, while the process still has its privileges, before the party's own ports.

        :raises StartFailed: or fails with it or another error, and the service does not start.
        """
        return None

    def started(self) -> None:
        """The party listens, and the application has been told."""

    def reloading(self) -> None:
        """SIGHUP: files are about to be read anew."""

    def reload(self) -> list[str]:
        """SIGHUP: read files anew.

        :returns: what has changed, in words.
        """
        return []

    def configure(self, options: Options, changed: frozenset[str]) -> set[str]:
        """SIGHUP: the configuration file says something else; take over what can be taken over while it runs.

        :param options: all of them as they would be after a restart, checked.
        :param changed: the names of those that are others than before.
        :returns: the names of those that hold from now on; a restart is needed for all others.
        """
        return set()

    def stopping(self) -> None:
        """A stop has begun: the party takes nothing new, and what is in flight goes on for a while."""

    def ended(self) -> Deferred[None] | None:
        """The party is gone, and nothing more will happen: close everything."""
        return None
