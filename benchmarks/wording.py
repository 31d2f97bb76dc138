"""The requests that the load generator sends, and what counts as an answer to one."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from array import array

__all__ = ["BODY", "Wording", "WrongAnswer"]

BODY = b"The quick brown fox jumps over the lazy dog."
_FIRST_NUMBER = 10_000_000


class WrongAnswer(Exception):
    """The server's answer is not the one that the request asks for."""


class Wording:
    """Makes the requests of one run, and recognises their answers.

    :ivar repeated: the numbers of those that were sent again.
    :ivar refused: how many 503 came, for a run that takes them for answers; None for any other.
    """

    __slots__ = ("_branch", "_call_id", "_number", "_run", "_transport", "refused", "repeated")

    def __init__(self, transport: str) -> None:
        self.repeated: set[bytes] = set()
        self.refused: int | None = None
        self._run = os.urandom(5).hex().encode()
        self._transport = transport.upper().encode()
        self._number = _FIRST_NUMBER
        self._branch = b"branch=z9hG4bK" + self._run
        self._call_id = b"\r\nCall-ID: " + self._run

    def template(self, local: tuple[str, int], server_name: str, body: bytes = BODY) -> bytes:
        """A request for one connection, with three places for its number."""
        peer, run = server_name.encode(), self._run
        lines = [
            b"MESSAGE sip:bob@%b SIP/2.0" % peer,
            b"Via: SIP/2.0/%b %b:%d;%b%%d;rport" % (self._transport, local[0].encode(), local[1], self._branch),
            b"From: <sip:alice@alice.example>;tag=%b" % run,
            b"To: <sip:bob@%b>" % peer,
            b"Call-ID: %b%%d@alice.example" % run,
            b"CSeq: %d MESSAGE",
            b"Max-Forwards: 70",
            b"User-Agent: benchmark",
            b"Content-Type: text/plain;charset=utf-8",
            b"Content-Length: %d" % len(body),
        ]
        return b"\r\n".join(lines) + b"\r\n\r\n" + body

    def requests(self, template: bytes, count: int, sent: dict[bytes, float]) -> list[bytes]:
        """The next *count* requests, noted in *sent* under their numbers with the time at which they leave."""
        first = self._number
        self._number = first + count
        now = time.perf_counter()
        messages = []
        for number in range(first, first + count):
            sent[b"%d" % number] = now
            messages.append(template % (number, number, number))
        return messages

    def again(self, template: bytes, sent: dict[bytes, float]) -> list[bytes]:
        """The requests that are still in *sent*, once more."""
        self.repeated.update(sent)
        return [template % (number, number, number) for number in map(int, sent)]

    def _is_refusal(self, data: bytes, start: int) -> bool:
        """Whether a 503 stands there, and may: a server that is overloaded says so, and is still heard of."""
        if self.refused is None or not data.startswith(b"SIP/2.0 503 ", start):
            return False
        self.refused += 1
        return True

    def answers(self, data: bytes, sent: dict[bytes, float], latencies: array[float]) -> tuple[int, bytes]:
        """Take whole answers from *data*: how many there were, and the octets after them.

        :raises WrongAnswer: for one that is not the 200 to a request in *sent*.
        """
        mark, call_id = self._branch, self._call_id
        now = time.perf_counter()
        start = count = 0
        while True:
            end = data.find(b"\r\n\r\n", start)
            if end < 0:
                break
            if not data.startswith(b"\r\nContent-Length: 0", end - 19):
                after = end + 4 + _content_length(data[start:end])
                if len(data) < after:
                    break
            else:
                after = end + 4
            at = data.find(mark, start, end) + len(mark)
            number = data[at : at + 8]
            sent_at = sent.pop(number, 0.0)
            if not sent_at and number in self.repeated:
                start = after  # what was sent twice may be answered twice
                continue
            if (
                not sent_at
                or not (data.startswith(b"SIP/2.0 200 ", start) or self._is_refusal(data, start))
                or data.find(call_id + number, start, end) < 0
                or data.find(b"\r\nCSeq: " + number + b" MESSAGE\r\n", start, end + 2) < 0
            ):
                raise WrongAnswer(data[start:end].decode("utf-8", "replace"))
            latencies.append(now - sent_at)
            count += 1
            start = after
        return count, data[start:]


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() in (b"content-length", b"l"):
            return int(value)
    raise WrongAnswer("no Content-Length in " + head.decode("utf-8", "replace"))
