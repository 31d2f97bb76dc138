"""A core with one party behind it, and what comes out when octets go in."""

from __future__ import annotations

from sip_p2p.sip.flow import Flow
from sip_p2p.sip.framing import StreamFramer
from sip_p2p.sip.message import Response
from sip_p2p.sip.outputs import Output, RequestReceived, SendMessage
from sip_p2p.sip.parse import parse_datagram, parse_message
from sip_p2p.sip.profile import Profile
from sip_p2p.sip.tokens import CountingTokens
from sip_p2p.sip.uri import SipUri
from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["HERE", "CoreBench", "answer_of", "delivered", "message", "statuses_of"]

HERE = "sip:user@example.com"


def message(
    method: str = "MESSAGE",
    uri: str = HERE,
    *,
    branch: str = "z9hG4bKb1",
    extra: str = "",
    body: bytes = b"",
    drop: tuple[str, ...] = (),
    replace: dict[str, str] | None = None,
) -> bytes:
    """An ordinary request as octets: fields can be dropped by name, replaced, or added."""
    fields = {
        "Via": f"SIP/2.0/TLS peer.example:5061;rport;branch={branch}",
        "Max-Forwards": "70",
        "From": "<sip:peer@peer.example>;tag=ft",
        "To": f"<{HERE}>",
        "Call-ID": "call-1",
        "CSeq": f"1 {method}",
    }
    fields.update(replace or {})
    if body:
        fields.setdefault("Content-Type", "text/plain")
    lines = [f"{name}: {value}" for name, value in fields.items() if name not in drop]
    head = "\r\n".join([f"{method} {uri} SIP/2.0", *lines])
    tail = f"\r\nContent-Length: {len(body)}\r\n\r\n"
    return (head + extra + tail).encode("utf-8", "surrogateescape") + body


class CoreBench:
    """A :class:`UserAgentCore` with one profile, and the flows that feed it."""

    def __init__(self, *, catch_all: bool = True) -> None:
        self.core = UserAgentCore(CountingTokens())
        self.profile = Profile("party")
        self.profile.allow("MESSAGE")
        self.profile.allow("INVITE", ("application/sdp", "multipart/mixed", "multipart/alternative"))
        self.core.directory.add(self.profile, SipUri.parse(HERE), "user-token")
        if catch_all:
            self.core.directory.fallback = self.profile
        self.stream = Flow("TLS", True, "here.example:5061", "192.0.2.9", 40000, "peer.example")
        self.udp = Flow("UDP", False, "here.example:5060", "192.0.2.9", 5060)

    def over_stream(self, octets: bytes, *, cut: bool = False, now: float = 0.0) -> list[Output]:
        """Feed *octets* as a connection would deliver them: at once, or one by one."""
        framer = StreamFramer()
        pieces = [octets[index : index + 1] for index in range(len(octets))] if cut else [octets]
        for piece in pieces:
            for item in framer.feed(piece):
                self.core.receive(item, self.stream, now)
        return self.core.take_outputs()

    def over_udp(self, octets: bytes, *, now: float = 0.0) -> list[Output]:
        """Feed *octets* as one datagram."""
        self.core.receive(parse_datagram(octets), self.udp, now)
        return self.core.take_outputs()

    def status(self, octets: bytes, *, udp: bool = False) -> int | None:
        """The status that the core itself answers with; None when it does not."""
        outputs = self.over_udp(octets) if udp else self.over_stream(octets)
        statuses = statuses_of(outputs)
        return statuses[0] if statuses else None


def statuses_of(outputs: list[Output]) -> list[int]:
    """The statuses of the responses among *outputs*."""
    found = []
    for output in outputs:
        if isinstance(output, SendMessage) and output.data.startswith(b"SIP/2.0 "):
            parse_message(output.data)
            found.append(int(output.data[8:11]))
    return found


def delivered(outputs: list[Output]) -> list[str]:
    """The methods of the requests that reached the application."""
    return [output.request.method for output in outputs if isinstance(output, RequestReceived)]


def answer_of(outputs: list[Output]) -> Response:
    """The one response among *outputs*."""
    (sent,) = [output for output in outputs if isinstance(output, SendMessage)]
    response = parse_message(sent.data)
    assert isinstance(response, Response)
    return response
