"""Parse, serialise and frame, in CPU microseconds a message.

The INVITE has 714 octets, the size of one that a softphone sends through one proxy. *Parsed* means that the head is
split, checked and decoded; *with fields* that Via, From, To, Call-ID and CSeq were read as values too, as a
transaction does.
"""

from __future__ import annotations

import argparse

from benchmarks.report import Goal, goals_table, machine, speed, table
from benchmarks.setting import FULL, QUICK, Scale
from benchmarks.timing import Piece, Timed, measure_pieces
from benchmarks.wording import Wording
from sip_p2p.sip.framing import StreamFramer
from sip_p2p.sip.message import Request
from sip_p2p.sip.parse import parse_message
from sip_p2p.sip.uri import parse_uri

__all__ = ["INVITE", "MESSAGE", "goals", "main", "measure_parsing", "tables"]

_HEAD = b"""\
INVITE sip:bob@biloxi.example.com SIP/2.0
Via: SIP/2.0/TCP client.atlanta.example.com:5060;branch=z9hG4bK74bf9
Max-Forwards: 70
From: "Alice" <sip:alice@atlanta.example.com>;tag=9fxced76sl
To: "Bob" <sip:bob@biloxi.example.com>
Call-ID: 3848276298220188511@atlanta.example.com
CSeq: 1 INVITE
Contact: <sip:alice@client.atlanta.example.com;transport=tcp>
Allow: INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, MESSAGE, NOTIFY
Accept: application/sdp
Supported: replaces, timer
User-Agent: softphone/5.1
Content-Type: application/sdp
Content-Length: 151

"""
_BODY = b"""\
v=0
o=alice 2890844526 2890844526 IN IP4 client.atlanta.example.com
s=-
c=IN IP4 192.0.2.101
t=0 0
m=audio 49172 RTP/AVP 0
a=rtpmap:0 PCMU/8000
"""
INVITE = (_HEAD + _BODY).replace(b"\n", b"\r\n")
MESSAGE = Wording("tls").requests(Wording("tls").template(("127.0.0.1", 50_000), "bob.example"), 1, {})[0]

_PARSED = "INVITE parsed, with Via, From, To, Call-ID and CSeq"
_PIPELINE = 16


def _with_fields(data: bytes) -> Request:
    message = parse_message(data)
    assert isinstance(message, Request)
    if not (message.via.branch and message.from_.tag and message.call_id and message.cseq.number):
        raise ValueError("the fields of the benchmark's message were not read")
    _ = message.to.tag
    return message


def measure_parsing(scale: Scale) -> list[Timed]:
    """Every figure of this module."""
    invite, stream = parse_message(INVITE), MESSAGE * _PIPELINE
    framer = StreamFramer()

    def frame() -> None:
        if len(framer.feed(stream)) != _PIPELINE:
            raise ValueError("the framer did not find every message")

    def frame_in_pieces() -> None:
        found = 0
        for at in range(0, len(INVITE), 100):
            found += len(framer.feed(INVITE[at : at + 100]))
        if found != 1:
            raise ValueError("the framer did not find the message")

    # More than are remembered: each is read again.
    uris = [f"sip:alice@client{number}.atlanta.example.com:5061;transport=tcp" for number in range(1000)]

    def parse_uris() -> None:
        for uri in uris:
            parse_uri(uri)

    return measure_pieces(
        [
            Piece("INVITE parsed", lambda: parse_message(INVITE)),
            Piece(_PARSED, lambda: _with_fields(INVITE)),
            Piece("MESSAGE parsed", lambda: parse_message(MESSAGE)),
            Piece("MESSAGE parsed, with Via, From, To, Call-ID and CSeq", lambda: _with_fields(MESSAGE)),
            Piece("INVITE serialised", invite.serialise),
            Piece(f"MESSAGE framed and parsed, {_PIPELINE} in one read", frame, _PIPELINE),
            Piece("INVITE framed and parsed, in reads of 100 octets", frame_in_pieces),
            Piece("a SIP URI parsed", parse_uris, len(uris)),
        ],
        scale,
    )


def tables(timed: list[Timed]) -> str:
    """The figures as one table."""
    rows = [(each.name, f"{each.median:.2f}", f"{each.best:.2f}") for each in timed]
    title = f"Messages in this process (INVITE {len(INVITE)} octets, MESSAGE {len(MESSAGE)})"
    return table(title, ("CPU microseconds each", "median", "best"), rows)


def goals(timed: list[Timed]) -> list[Goal]:
    """The goal for parsing, judged by the best batch: what else the machine does can only add to it."""
    return [Goal(each.name, each.best, 20.0, "us CPU") for each in timed if each.name == _PARSED]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parse", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter batches")
    timed = measure_parsing(QUICK if parser.parse_args().quick else FULL)
    print(machine(), speed(), sep="\n")
    print(tables(timed))
    print(goals_table(goals(timed)))


if __name__ == "__main__":
    main()
