"""One datagram: nothing in it raises, what was parsed can be written and read back, and every answer is a message.

python fuzz/parse.py                with atheris, where it is installed; for ever, or as libFuzzer's options say
python fuzz/parse.py --random       with random changes of the torture messages, for a minute
python fuzz/parse.py FILE...        these inputs alone
"""

from __future__ import annotations

import contextlib

from rounds import fuzz, instrumented

with instrumented():
    from sip_p2p.errors import MalformedMessage
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.limits import MessageLimits
    from sip_p2p.sip.message import Message
    from sip_p2p.sip.outputs import SendMessage
    from sip_p2p.sip.parse import parse_datagram, parse_message
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.tokens import CountingTokens
    from sip_p2p.sip.user_agent import UserAgentCore

WIDE = MessageLimits(
    message=2**20, head=2**19, body=2**19, line=2**19, fields=1000, vias=1000, routes=1000, params=2**19
)
VIEWS = ("via", "vias", "cseq", "call_id", "from_", "to", "content_type", "text", "uri")


def check(data: bytes) -> None:
    """See the module."""
    item = parse_datagram(data)
    if isinstance(item, Message):
        for view in VIEWS:
            with contextlib.suppress(MalformedMessage, ValueError):
                look = getattr(item, view, None)
                look() if callable(look) else str(look)
        written = item.serialise()
        again = parse_message(written, WIDE)
        assert again.serialise() == written, written
    core = UserAgentCore(CountingTokens())
    core.directory.fallback = Profile("party", ("MESSAGE", "INVITE", "INFO"), ("100rel",))
    core.receive(item, Flow("UDP", False, "here.example:5060", "192.0.2.9", 5060), 0.0)
    outputs = core.take_outputs()
    core.handle_timer(100.0)
    for output in outputs + core.take_outputs():
        if isinstance(output, SendMessage):
            parse_message(output.data, WIDE)


if __name__ == "__main__":
    fuzz(check, "parse")
