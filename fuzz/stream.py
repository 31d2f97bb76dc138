"""One stream: however it is cut, the same messages come out of it, and each is what the parser makes of its octets.

python fuzz/stream.py               with atheris, where it is installed; for ever, or as libFuzzer's options say
python fuzz/stream.py --random      with random changes of the torture messages, for a minute
python fuzz/stream.py FILE...       these inputs alone
"""

from __future__ import annotations

import random

from rounds import fuzz, instrumented

with instrumented():
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.framing import StreamFramer
    from sip_p2p.sip.message import Message
    from sip_p2p.sip.parse import Unparsable, parse_message
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.tokens import CountingTokens
    from sip_p2p.sip.user_agent import UserAgentCore


def frame(pieces: list[bytes]) -> list[object]:
    """What a stream in these pieces holds."""
    framer = StreamFramer()
    framer.raw = []
    found = [item for piece in pieces for item in framer.feed(piece)]
    messages = [item for item in found if isinstance(item, Message)]
    assert len(framer.raw) == len(messages), (framer.raw, found)
    for octets, message in zip(framer.raw, messages, strict=True):
        assert parse_message(octets) == message, octets
    return found


def told(item: object) -> object:
    """An item in a form that can be compared. What is plainly no SIP is given up early, with less to say about it."""
    if isinstance(item, Unparsable):
        return "lost" if item.loses_framing else "unparsable"
    return item.serialise() if isinstance(item, Message) else item


def check(data: bytes) -> None:
    """See the module."""
    whole = frame([data])
    cuts = sorted(random.Random(data).sample(range(len(data) + 1), min(5, len(data))))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    for other in (frame(pieces), frame([data[i : i + 1] for i in range(len(data))])):
        assert [told(item) for item in other] == [told(item) for item in whole], (whole, other)
    core = UserAgentCore(CountingTokens())
    core.directory.fallback = Profile("party", ("MESSAGE", "INVITE"))
    for item in whole:
        core.receive(item, Flow("TLS", True, "here.example:5061", "192.0.2.9", 40000, "peer.example"), 0.0)


if __name__ == "__main__":
    fuzz(check, "stream")
