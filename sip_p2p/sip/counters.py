"""What a core has seen and done, in figures."""

from __future__ import annotations

from typing import final

from sip_p2p.sip.status import Status

__all__ = ["KNOWN_METHODS", "Counters", "Traffic"]

KNOWN_METHODS = frozenset(
    "ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE".split()
)
"""The methods of the IANA registry: one that is known and not allowed is answered 405, any other 501 (RFC 3261 section
21.5.2)."""


@final
class Counters:
    """Running totals since the core was made.

    :ivar refused_overloaded: requests answered 503 because of overload, or because the stack is on its way out.
    :ivar refused_full: requests answered 503 because there was no room for another transaction, or another dialog.
    :ivar refused_dialogs: those of them for which there are too many dialogs, or answered INVITEs without their ACK.
    :ivar refused_forks: provisional responses and 2xx that would have made more branches of one call than are allowed.
    :ivar refused_notifications: NOTIFYs of one subscription that came faster than they are taken.
    :ivar foreign_requests: requests in a dialog of somebody else, answered as if there were none.
    :ivar dropped_overloaded: requests that got no answer for the same reason.
    """

    __slots__ = (
        "dropped_overloaded",
        "dropped_requests",
        "dropped_responses",
        "foreign_requests",
        "merged_requests",
        "pings",
        "refused_dialogs",
        "refused_forks",
        "refused_full",
        "refused_notifications",
        "refused_overloaded",
        "refused_requests",
        "requests",
        "responses",
        "unparsable",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.responses = 0
        self.unparsable = 0
        self.refused_requests = 0
        self.refused_full = 0
        self.refused_dialogs = 0
        self.refused_forks = 0
        self.refused_notifications = 0
        self.refused_overloaded = 0
        self.dropped_requests = 0
        self.dropped_overloaded = 0
        self.dropped_responses = 0
        self.foreign_requests = 0
        self.merged_requests = 0
        self.pings = 0


@final
class Traffic:
    """Messages by method and by status, in and out; retransmissions by the transactions' timers are not among them.

    A peer can invent methods and statuses, but no more figures: what is not registered is counted as ``other``, and
    with a status as the 0 of it.
    """

    __slots__ = ("requests_in", "requests_out", "responses_in", "responses_out")

    def __init__(self) -> None:
        self.requests_in = dict.fromkeys((*sorted(KNOWN_METHODS), "other"), 0)
        self.requests_out = dict(self.requests_in)
        self.responses_in = dict.fromkeys((*(int(status) for status in Status), 0), 0)
        self.responses_out = dict(self.responses_in)

    def figures(self) -> dict[str, int]:
        """Every figure by name: ``requests_in_message``, ``responses_out_200``, ``responses_in_other``."""
        return {
            f"{name}_{str(key or 'other').lower()}": count
            for name in self.__slots__
            for key, count in getattr(self, name).items()
        }
