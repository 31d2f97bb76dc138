"""Requests, responses and flows from which the tests of dialogs make theirs."""

from __future__ import annotations

from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request, Response

__all__ = ["ALICE", "BOB", "ProvingFlow", "callee_dialog", "caller_dialog", "in_dialog", "invite", "ok", "tls"]

ALICE = "sip:alice@a.example"
BOB = "sip:bob@b.example"


class ProvingFlow(Flow):
    """A flow whose peer's certificate proves what it is told to."""

    __slots__ = ("_names",)

    def __init__(
        self, transport: str = "TLS", names: tuple[str, ...] = ("b.example",), peer: str | None = None
    ) -> None:
        reliable = transport != "UDP"
        key = " ".join(sorted(names)) if peer is None else peer
        super().__init__(transport, reliable, "here.example", "192.0.2.9", 40000, key)
        self._names = names

    def proves(self, host: str) -> bool:
        """As the certificate of a live flow."""
        return host in self._names


def tls(*names: str) -> ProvingFlow:
    """A flow over mutual TLS to whoever proves *names*."""
    return ProvingFlow("TLS", names)


def invite(
    uri: str = BOB,
    *,
    contact: str | None = "<sip:alice@192.0.2.1>",
    record_route: tuple[str, ...] = (),
    cseq: int = 7,
    from_: str = f'"Alice" <{ALICE}>;tag=at',
    to: str = f"<{BOB}>",
) -> Request:
    """An INVITE from Alice to Bob."""
    headers = [
        ("Via", "SIP/2.0/TLS a.example;branch=z9hG4bKi"),
        *(("Record-Route", value) for value in record_route),
        ("From", from_),
        ("To", to),
        ("Call-ID", "call"),
        ("CSeq", f"{cseq} INVITE"),
    ]
    if contact is not None:
        headers.append(("Contact", contact))
    return Request("INVITE", uri, headers)


def ok(
    request: Request,
    status: int = 200,
    *,
    tag: str = "bt",
    contact: str | None = "<sip:bob@192.0.2.2>",
    record_route: tuple[str, ...] = (),
) -> Response:
    """Bob's response to *request*."""
    to = request.headers["To"]
    headers = [
        *(("Record-Route", value) for value in record_route),
        ("From", request.headers["From"]),
        ("To", f"{to};tag={tag}" if tag and ";tag=" not in to else to),
        ("Call-ID", request.call_id),
        ("CSeq", str(request.cseq)),
    ]
    if contact is not None:
        headers.append(("Contact", contact))
    return Response(status, None, headers)


def caller_dialog(flow: Flow | None = None, uri: str = BOB, **more: object) -> Dialog:
    """Alice's dialog with Bob, from a 200."""
    request = invite(uri)
    return Dialog.of_caller(request, ok(request, **more), flow or tls("b.example"))  # type: ignore[arg-type]


def callee_dialog(flow: Flow | None = None, uri: str = BOB, **more: object) -> Dialog:
    """Bob's dialog with Alice."""
    return Dialog.of_callee(invite(uri, **more), "bt", flow or tls("a.example"))  # type: ignore[arg-type]


def in_dialog(
    dialog: Dialog, method: str = "INFO", cseq: int = 8, *, contact: str | None = None, record_route: str | None = None
) -> Request:
    """A request of the peer in *dialog*."""
    headers = [
        ("Via", "SIP/2.0/TLS a.example;branch=z9hG4bKd"),
        ("From", f"{dialog.remote};tag={dialog.remote_tag}"),
        ("To", f"{dialog.local};tag={dialog.local_tag}"),
        ("Call-ID", dialog.call_id),
        ("CSeq", f"{cseq} {method}"),
    ]
    if contact is not None:
        headers.append(("Contact", contact))
    if record_route is not None:
        headers.append(("Record-Route", record_route))
    return Request(method, "sip:here@here.example", headers)
