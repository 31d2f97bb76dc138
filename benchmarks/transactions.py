"""Each of the four transactions from its first message to its last, in CPU microseconds, without sockets.

Every one of them is new: its request or response is parsed from octets, goes through the layer, and what is to be
sent is written. The clock of the layer is moved on as in a server that has 5000 transactions a second, so that over
UDP finished ones are kept, and forgotten again, as in real life; over TCP and TLS there is nothing to keep. The last
row adds the rules of RFC 3261 section 8: it is what a message to an application costs in the whole of the core.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmarks.report import machine, speed, table
from benchmarks.setting import FULL, QUICK, Scale
from benchmarks.timing import Piece, Timed, measure_pieces
from benchmarks.wording import Wording
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.headers import Headers
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.outputs import RequestReceived, SendMessage
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.transaction.layer import TransactionLayer
from sip_p2p.sip.transaction.timers import Timers
from sip_p2p.sip.uri import SipUri
from sip_p2p.sip.user_agent import UserAgentCore

if TYPE_CHECKING:
    from sip_p2p.sip.outputs import Output

__all__ = ["Bench", "main", "measure_transactions", "tables"]

_STEP = 1 / 5000
_FIRST = 10_000_000


class Bench:
    """A layer with nobody at either end of its flow."""

    def __init__(self, transport: str) -> None:
        self._flow = Flow(transport, transport != "UDP", "127.0.0.1:5060", "127.0.0.1", 50_000)
        self._outputs: list[Output] = []
        self._layer = TransactionLayer(self._outputs, Timers())
        self._core = UserAgentCore(CountingTokens(), Timers())
        profile = Profile()
        profile.allow("MESSAGE")
        self._core.directory.add(profile, SipUri.parse("sip:bob@bob.example"), "bob")
        self._message = Wording(transport).template(("127.0.0.1", 50_000), "bob.example")
        self._invite = self._message.replace(b"MESSAGE", b"INVITE")
        self._transport = transport
        self._number = _FIRST
        self._now = 0.0

    def _step(self) -> int:
        """The number of the next transaction; time passes until it."""
        self._number += 1
        self._now += _STEP
        deadline = self._layer.next_deadline()
        if deadline is not None and deadline <= self._now:
            self._layer.handle_timer(self._now)
        return self._number

    def _expect(self, messages: int) -> None:
        sent = sum(type(output) is SendMessage for output in self._outputs)
        if sent != messages:
            raise ValueError(f"{sent} messages were to be sent, not {messages}")
        self._outputs.clear()

    def _asked(self, template: bytes, *statuses: int) -> bytes:
        """A peer asks, and is answered."""
        number = self._step()
        request = parse_message(template % (number, number, number))
        assert isinstance(request, Request)
        transaction = self._layer.receive_request(request, self._flow, self._now)
        assert transaction is not None
        for status in statuses:
            transaction.echo.to_tag = "answered"
            self._layer.respond(transaction, transaction.echo.response(status), self._now)
        return b"%d" % number

    def message_asked(self) -> None:
        """Non-INVITE server: a request, its 200."""
        self._asked(self._message, 200)
        self._expect(1)

    def invite_asked(self) -> None:
        """INVITE server: a request, 180, 200. The ACK of a 2xx belongs to the dialog."""
        self._asked(self._invite, 180, 200)
        self._expect(2)

    def invite_refused(self) -> None:
        """INVITE server: a request, 486, its ACK."""
        number = int(self._asked(self._invite, 486))
        ack = parse_message((self._invite % (number, number, number)).replace(b"INVITE", b"ACK"))
        assert isinstance(ack, Request)
        self._layer.receive_request(ack, self._flow, self._now)
        self._expect(1)

    def _ask(self, method: str, *statuses: int) -> None:
        """We ask, and are answered."""
        number = self._step()
        fields = [
            ("Via", f"SIP/2.0/{self._transport} 127.0.0.1:5060;rport;branch=z9hG4bKasked{number}"),
            ("Max-Forwards", "70"),
            ("From", "<sip:bob@bob.example>;tag=asking"),
            ("To", "<sip:alice@alice.example>"),
            ("Call-ID", f"asked{number}"),
            ("CSeq", f"1 {method}"),
        ]
        request = Request(method, "sip:alice@alice.example", Headers(fields))
        self._layer.request(request, self._flow, self._now)
        for status in statuses:
            octets = Response(status, None, [*fields[:1], *fields[2:]]).serialise()
            response = parse_message(octets)
            assert isinstance(response, Response)
            if not self._layer.receive_response(response, self._flow, self._now):
                raise ValueError(f"the {status} was not taken")

    def message_sent(self) -> None:
        """Non-INVITE client: a request, its 200."""
        self._ask("MESSAGE", 200)
        self._expect(1)

    def invite_sent(self) -> None:
        """INVITE client: a request, 180, 200."""
        self._ask("INVITE", 180, 200)
        self._expect(1)

    def invite_sent_in_vain(self) -> None:
        """INVITE client: a request, 486, our ACK."""
        self._ask("INVITE", 486)
        self._expect(2)

    def message_to_application(self) -> None:
        """The whole core: a request that an application answers."""
        self._number += 1
        self._now += _STEP
        core = self._core
        deadline = core.next_deadline()
        if deadline is not None and deadline <= self._now:
            core.handle_timer(self._now)
        core.receive_message(parse_message(self._message % ((self._number,) * 3)), self._flow, self._now)
        received = core.take_outputs()[-1]
        assert isinstance(received, RequestReceived)
        core.respond(received.transaction, core.response(received.transaction, 200), self._now)
        if type(core.take_outputs()[-1]) is not SendMessage:
            raise ValueError("the request was not answered")


def measure_transactions(scale: Scale) -> list[Timed]:
    """Every figure of this module, over TLS and over UDP."""
    pieces = []
    for transport in ("TLS", "UDP"):
        bench = Bench(transport)
        pieces += [
            Piece(f"{transport}: MESSAGE received, 200 (parsed, matched, written)", bench.message_asked),
            Piece(f"{transport}: MESSAGE sent, 200", bench.message_sent),
            Piece(f"{transport}: INVITE received, 180, 200", bench.invite_asked),
            Piece(f"{transport}: INVITE received, 486, ACK", bench.invite_refused),
            Piece(f"{transport}: INVITE sent, 180, 200", bench.invite_sent),
            Piece(f"{transport}: INVITE sent, 486, ACK", bench.invite_sent_in_vain),
            Piece(f"{transport}: MESSAGE received by an application, 200", bench.message_to_application),
        ]
    return measure_pieces(pieces, scale)


def tables(timed: list[Timed]) -> str:
    """The figures as one table. *Sent* rows hold the writing of the peer's responses too."""
    rows = [(each.name, f"{each.median:.2f}", f"{each.best:.2f}") for each in timed]
    return table("Transactions in this process", ("CPU microseconds each", "median", "best"), rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transactions", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter batches")
    timed = measure_transactions(QUICK if parser.parse_args().quick else FULL)
    print(machine(), speed(), sep="\n")
    print(tables(timed))


if __name__ == "__main__":
    main()
