"""The calls that a load generator makes: octets in, octets out, whatever carries them.

A call is INVITE with an offer, 180, 200 with an answer, ACK, BYE, 200. ACK and BYE leave together as soon as the 200 is
there. Every call has its own Call-ID, tag and branches, and counts once both its 200 have come, each with the branch of
what it answers.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from benchmarks.wording import WrongAnswer

if TYPE_CHECKING:
    from array import array

__all__ = ["ANSWER", "OFFER", "SDP_TYPE", "Calls"]

SDP_TYPE = b"application/sdp"
OFFER = (
    b"v=0\r\no=alice 2890844526 2890844526 IN IP4 alice.example\r\ns=-\r\nc=IN IP4 192.0.2.101\r\nt=0 0\r\n"
    b"m=audio 49172 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)
"""As in RFC 3665."""
ANSWER = OFFER.replace(b"alice", b"bob").replace(b".101", b".201").replace(b"49172", b"3456")
_FIRST_NUMBER = 10_000_000
_INVITE, _BYE = b"i", b"b"


class Calls:
    """The calls of one connection.

    :ivar sent: when each that is under way began, by its number.
    """

    __slots__ = ("_ack", "_again", "_bye", "_invite", "_mark", "_number", "_resent", "_rest", "_rung", "sent")

    def __init__(self, transport: str, local: tuple[str, int], server_name: str) -> None:
        """
        :param local: our address and port, for Via and Contact.
        """
        self.sent: dict[bytes, float] = {}
        self._again: dict[bytes, bytes] = {}
        self._rung: set[bytes] = set()
        self._rest = b""
        self._resent = False
        self._number = _FIRST_NUMBER
        run = os.urandom(5).hex().encode()
        self._mark = b"branch=z9hG4bK" + run
        here = b"%b:%d" % (local[0].encode(), local[1])
        via = b"Via: SIP/2.0/%b %b;branch=z9hG4bK%b" % (transport.upper().encode(), here, run)
        dialog = b"From: <sip:alice@alice.example>;tag=%b%%d\r\nCall-ID: %b%%d@alice.example" % (run, run)
        # To is the last of those that an answer repeats, so that the floor can copy them at one go.
        self._invite = b"\r\n".join([
            b"INVITE sip:bob@%b SIP/2.0" % server_name.encode(), via + b"i%d;rport", dialog, b"CSeq: 1 INVITE",
            b"To: <sip:bob@%b>" % server_name.encode(), b"Max-Forwards: 70",
            b"Contact: <sip:alice@%b;transport=%b>" % (here, transport.encode()), b"User-Agent: benchmark",
            b"Allow: INVITE, ACK, CANCEL, BYE, OPTIONS", b"Content-Type: " + SDP_TYPE,
            b"Content-Length: %d" % len(OFFER), b"", OFFER,
        ])  # fmt: skip
        within = [dialog, b"To: %b", b"Max-Forwards: 70", b"User-Agent: benchmark", b"Content-Length: 0", b"", b""]
        # In the order that the floor wants: the CSeq before To.
        self._ack = b"\r\n".join([b"ACK %b SIP/2.0", via + b"a%d;rport", within[0], b"CSeq: 1 ACK", *within[1:]])
        self._bye = b"\r\n".join([b"BYE %b SIP/2.0", via + b"b%d;rport", within[0], b"CSeq: 2 BYE", *within[1:]])

    def begin(self, count: int) -> list[bytes]:
        """The INVITEs of *count* more calls."""
        first, template, now = self._number, self._invite, time.perf_counter()
        self._number += count
        messages = []
        for number in range(first, first + count):
            key = b"%d" % number
            self.sent[key] = now
            self._again[key] = invite = template % (number, number, number)
            messages.append(invite)
        return messages

    def again(self) -> list[bytes]:
        """The requests that have no final answer, once more."""
        self._resent = True
        return list(self._again.values())

    def receive(self, data: bytes, latencies: array[float]) -> tuple[list[bytes], int]:
        """Take what has arrived: what is to be said to it, and how many calls are over.

        :raises WrongAnswer: for an answer to none of our requests, or another than it should have.
        """
        if self._rest:
            data = self._rest + data
        replies: list[bytes] = []
        start = count = 0
        while (end := data.find(b"\r\n\r\n", start)) >= 0:
            after = end + 4 + _content_length(data, start, end)
            if after > len(data):
                break
            at = data.find(self._mark, start, end) + len(self._mark)
            kind, number = data[at : at + 1], data[at + 1 : at + 9]
            status = data[start + 8 : start + 11]
            if number not in self.sent:
                if not self._resent:
                    raise WrongAnswer(data[start:end].decode("utf-8", "replace"))
            elif status[:1] == b"1":
                # A server that is late says 100, which is no ringing.
                if status != b"100":
                    self._rung.add(number)
            elif kind == _INVITE and status == b"200" and number in self._rung:
                replies += self._leave(data, start, end, number)
            elif kind == _BYE and status == b"200":
                latencies.append(time.perf_counter() - self.sent.pop(number))
                self._rung.discard(number)
                del self._again[number]
                count += 1
            else:
                raise WrongAnswer(data[start:end].decode("utf-8", "replace"))
            start = after
        self._rest = data[start:]
        return replies, count

    def _leave(self, data: bytes, start: int, end: int, number: bytes) -> tuple[bytes, bytes]:
        at = data.find(b"\r\nTo: ", start, end) + 6
        to = data[at : data.find(b"\r\n", at, end)]
        at = data.find(b"\r\nContact: <", start, end) + 12
        target = data[at : data.find(b">", at, end)]
        if b";tag=" not in to or not target.startswith(b"sip"):
            raise WrongAnswer(data[start:end].decode("utf-8", "replace"))
        own = int(number)
        self._again[number] = bye = self._bye % (target, own, own, own, to)
        return self._ack % (target, own, own, own, to), bye


def _content_length(data: bytes, start: int, end: int) -> int:
    at = data.find(b"\r\nContent-Length: ", start, end)
    if at < 0:
        raise WrongAnswer("no Content-Length in " + data[start:end].decode("utf-8", "replace"))
    stop = data.find(b"\r\n", at + 18, end)
    return int(data[at + 18 : end if stop < 0 else stop])
