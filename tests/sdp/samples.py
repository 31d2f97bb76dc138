"""Descriptions that the tests share; those of RFCs say which."""

from __future__ import annotations

__all__ = ["ALICE_3264", "BOB_3264", "SEMINAR", "lines"]


def lines(text: str) -> bytes:
    """*text* with the line ends that SDP has."""
    return "".join(f"{line.strip()}\r\n" for line in text.strip().splitlines()).encode()


SEMINAR = lines(
    """
    v=0
    o=jdoe 3724394400 3724394405 IN IP4 198.51.100.1
    s=Call to John Smith
    i=SDP Offer #1
    u=http://www.jdoe.example.com/home.html
    e=Jane Doe <jane@jdoe.example.com>
    p=+1 617 555-6011
    c=IN IP4 198.51.100.1
    t=0 0
    m=audio 49170 RTP/AVP 0
    m=audio 49180 RTP/AVP 0
    m=video 51372 RTP/AVP 99
    c=IN IP6 2001:db8::2
    a=rtpmap:99 h263-1998/90000
    """
)
"""RFC 8866 section 5."""

ALICE_3264 = lines(
    """
    v=0
    o=alice 2890844526 2890844526 IN IP4 host.anywhere.com
    s=-
    c=IN IP4 host.anywhere.com
    t=0 0
    m=audio 49170 RTP/AVP 0
    a=rtpmap:0 PCMU/8000
    m=video 51372 RTP/AVP 31
    a=rtpmap:31 H261/90000
    m=video 53000 RTP/AVP 32
    a=rtpmap:32 MPV/90000
    """
)
"""The offer of RFC 3264 section 10.1, with the empty s= of the RFC replaced by its own recommendation."""

BOB_3264 = lines(
    """
    v=0
    o=bob 2890844730 2890844730 IN IP4 host.example.com
    s=-
    c=IN IP4 host.example.com
    t=0 0
    m=audio 49920 RTP/AVP 0
    a=rtpmap:0 PCMU/8000
    m=video 0 RTP/AVP 31
    m=video 53000 RTP/AVP 32
    a=rtpmap:32 MPV/90000
    """
)
"""The answer there."""
