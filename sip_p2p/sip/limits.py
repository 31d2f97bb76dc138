"""How large a message may be, and in which of its parts."""

from __future__ import annotations

from typing import final

__all__ = ["MessageLimits"]


@final
class MessageLimits:
    """The bounds that the parser and the framer enforce while the octets arrive, before anything is kept of them.

    :ivar message: start line, header section and body together, in octets; more is 513 (Message Too Large).
    :ivar head: start line and header section, in octets; more is 513, and a stream is closed.
    :ivar body: the body, in octets; more is 413.
    :ivar line: one header field, folded lines included, or the start line, in octets; more is 400 (a Request-URI: 414).
    :ivar fields: how many header fields; more is 400.
    :ivar vias: how many Via fields; more is 400. Not fewer than in the longest request of RFC 4475, which has 34.
    :ivar routes: how many Route fields; more is 400.
    :ivar params: how many parameters in one value of a field that has such, or in the Request-URI, those of its URI
        counted with them; more is 400.
    """

    __slots__ = ("body", "fields", "head", "line", "message", "params", "routes", "vias")

    def __init__(
        self,
        *,
        message: int = 65536,
        head: int = 16384,
        body: int = 49152,
        line: int = 4096,
        fields: int = 128,
        vias: int = 64,
        routes: int = 64,
        params: int = 70,
    ) -> None:
        """
        :raises ValueError: when a bound is not a positive number, or *head* could not hold one *line*.
        """
        self.message = message
        self.head = head
        self.body = body
        self.line = line
        self.fields = fields
        self.vias = vias
        self.routes = routes
        self.params = params
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise ValueError(f"the limit {name!r} must be at least 1, not {getattr(self, name)}")
        if head < line:
            raise ValueError(f"the limit 'head' ({head}) is smaller than the limit 'line' ({line})")
