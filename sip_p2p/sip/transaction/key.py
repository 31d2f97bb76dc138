"""What messages are matched by, as plain strings (RFC 3261 sections 17.1.3, 17.2.3 and 18.1.2).

The parts of a key are joined by a line feed, which no header field can hold, so no two different tuples give one
string. A server key also names the party at the other end of the flow: a second peer that knows the branch of a first
one finds nothing by it, and never gets the first one's response.

Branches are compared as written. Section 7.3.1 would allow another capitalisation, but a sender that lets two branches
differ in nothing else is more likely than one that respells its own branch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.sip.tokens import BRANCH_COOKIE

if TYPE_CHECKING:
    from sip_p2p.sip.fields import Via
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request

__all__ = ["client_key", "finished_client_key", "has_cookie", "party", "rfc2543_key", "sent_by", "server_key"]

_DEFAULT_PORTS = {"TLS": 5061, "WS": 80, "WSS": 443}
_DEFAULT_PORT = 5060
_BARE_COOKIE = len(BRANCH_COOKIE)


def has_cookie(branch: str | None) -> bool:
    """Whether *branch* identifies a transaction by itself: the cookie, and something after it (section 17.2.3)."""
    return branch is not None and len(branch) > _BARE_COOKIE and branch.startswith(BRANCH_COOKIE)


def sent_by(via: Via) -> str:
    """``host:port`` of *via*, the transport's default port written out (section 18.1.1, RFC 7118 section 5.5)."""
    port = via.port
    return f"{via.host}:{_DEFAULT_PORTS.get(via.transport, _DEFAULT_PORT) if port is None else port}"


def party(flow: Flow) -> str:
    """Who is at the other end of *flow*: the identity that was verified, or else the address.

    Two flows of which :meth:`~sip_p2p.sip.flow.Flow.leads_to_same_peer` holds have the same party.
    """
    peer = flow.peer
    if peer:
        return peer
    return f"/{flow.remote_host}" if flow.reliable else f"/{flow.remote_host}/datagrams"


def client_key(branch: str, method: str) -> str:
    """What a response finds its client transaction by (17.1.3): the branch, and the method of CSeq.

    The method tells a CANCEL from the INVITE whose branch it has.
    """
    return f"{branch}\n{method}"


def finished_client_key(key: str, flow: Flow, our_sent_by: str) -> str:
    """The key of a client transaction that is only a record any more, which nothing but its key protects.

    :param our_sent_by: what the top Via named (section 18.1.2).
    """
    return f"{key}\n{our_sent_by}\n{party(flow)}"


def server_key(request: Request, flow: Flow, method: str) -> str:
    """What a request finds its server transaction by (17.2.3).

    :param method: the request's, but INVITE to find what an ACK acknowledges or a CANCEL cancels.
    :raises MalformedMessage: when the request lacks a field that it is matched by.
    """
    via = request.via
    branch = via.branch
    if branch is not None and len(branch) > _BARE_COOKIE and branch.startswith(BRANCH_COOKIE):
        return f"{branch}\n{sent_by(via)}\n{method}\n{flow.peer or party(flow)}"
    return rfc2543_key(request, flow, method, request.to.tag or "")


def rfc2543_key(request: Request, flow: Flow, method: str, to_tag: str) -> str:
    """The key of a request whose branch is not unique (second half of 17.2.3): all that a retransmission has in common.

    An ACK has the To tag of the response that it acknowledges; its key has ``ACK`` for a method, and the server
    transaction is entered under it when that response goes out. The tag stands last, so that it can be appended then.

    ``received`` and ``rport`` of the top Via are left out: the receiver writes them.

    :raises MalformedMessage: when the request lacks a field that it is matched by.
    """
    via = request.via
    params = sorted(f"{name}={value}" for name, value in via.params.items() if name not in ("received", "rport"))
    return "\n".join(
        (
            method,
            request.uri_text,
            request.from_.tag or "",
            request.call_id,
            str(request.cseq.number),
            f"{via.transport} {sent_by(via)};{';'.join(params)}",
            party(flow),
            to_tag,
        )
    )
