"""What a core has seen and done, in figures."""

from __future__ import annotations

from typing import final

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
    :ivar dropped_overloaded: requests that got no answer for the same reason.
    """

    __slots__ = (
        "dropped_overloaded",
        "dropped_requests",
        "dropped_responses",
        "merged_requests",
        "pings",
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
        self.refused_overloaded = 0
        self.dropped_requests = 0
        self.dropped_overloaded = 0
        self.dropped_responses = 0
        self.merged_requests = 0
        self.pings = 0


@final
class Traffic:
    """Messages by method and by status, in and out; retransmissions by the transactions' timers are not among them.

    A peer can invent methods, but no more figures: those that are not registered are counted as ``other``.
    """

    __slots__ = ("requests_in", "requests_out", "responses_in", "responses_out")

    def __init__(self) -> None:
        self.requests_in = dict.fromkeys((*sorted(KNOWN_METHODS), "other"), 0)
        self.requests_out = dict(self.requests_in)
        self.responses_in: dict[int, int] = {}
        self.responses_out: dict[int, int] = {}

    def figures(self) -> dict[str, int]:
        """Every figure that is not nought, by name: ``requests_in_message``, ``responses_out_200``."""
        found = {}
        for name in self.__slots__:
            for key, count in getattr(self, name).items():
                if count:
                    found[f"{name}_{str(key).lower()}"] = count
        return found
