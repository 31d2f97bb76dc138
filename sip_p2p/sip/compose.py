"""Messages of our own: the request that opens a transaction (RFC 3261 section 8.1.1) and the response to one (8.2.6).

Everything here takes text that was checked where it was made (URIs, tags, configured fields) or checks it itself (what
the application supplies with a call). The serialiser checks all of it once more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import RestrictedHeader
from sip_p2p.sip.headers import Headers, check_value
from sip_p2p.sip.message import Request, Response
from sip_p2p.sip.status import reason_phrase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.uri import SipUri

__all__ = ["RESTRICTED_HEADERS", "Echo", "RequestPlan", "application_fields"]

MAX_FORWARDS = "70"
"""RFC 3261 section 8.1.1.6."""

RESTRICTED_HEADERS = frozenset(
    """
    Call-ID Contact Content-Length Content-Type CSeq From Max-Forwards Record-Route Route To Via
    """.split()
)
"""What an application cannot set on a message: the stack derives these from the call's own arguments and from its
state."""


def application_fields(fields: Iterable[tuple[str, str]], *, restricted: bool = True) -> list[tuple[str, str]]:
    """Check header fields that an application supplies, and return them under canonical names.

    :param restricted: False lets the fields of :data:`RESTRICTED_HEADERS` pass, for tools that test other stacks.
    :raises RestrictedHeader: for a field that the stack owns.
    :raises ValueError: for a name that is no token, or a value with CR, LF or NUL.
    """
    if fields == ():
        return []
    checked = Headers(fields)
    if restricted:
        for name in checked.names():
            if name in RESTRICTED_HEADERS:
                raise RestrictedHeader(name)
    return list(checked)


@final
class RequestPlan:
    """What a request is made of; one plan makes one request.

    :ivar method: the method.
    :ivar uri: the Request-URI, as text.
    :ivar to: the To value; by default the Request-URI in angle brackets.
    :ivar from_: the From value, without a tag.
    :ivar from_tag: its tag.
    :ivar call_id: the Call-ID.
    :ivar cseq: the sequence number, below 2**31.
    :ivar max_forwards: the Max-Forwards value (section 8.1.1.6).
    :ivar contact: the Contact value, or None where the method carries none.
    :ivar dialog: the dialog that it is sent in; None outside of one, and for what may make one.
    :ivar next_hop: the URI that names where it goes first, where a route set says so; None where nothing but
        :attr:`uri` does.
    :ivar goes_back: whether by UDP it goes to the place that the dialog's peer was heard from last, wherever its
        Contact is: what is sent to somebody who may have a forged one.
    :ivar routes: the Route values, topmost first (a pre-loaded route set, section 8.1.2).
    :ivar fields: further header fields, already checked.
    :ivar body: the body.
    :ivar content_type: its type; needed where there is a body.
    """

    __slots__ = (
        "_prepared",
        "_prepared_for",
        "body",
        "call_id",
        "contact",
        "content_type",
        "cseq",
        "dialog",
        "fields",
        "from_",
        "from_tag",
        "goes_back",
        "max_forwards",
        "method",
        "next_hop",
        "routes",
        "to",
        "uri",
    )

    def __init__(self, method: str, uri: str, from_: str, from_tag: str, call_id: str) -> None:
        self.method = method
        self.uri = uri
        self.to = f"<{uri}>"
        self.from_ = from_
        self.from_tag = from_tag
        self.call_id = call_id
        self.cseq = 1
        self.max_forwards = MAX_FORWARDS
        self.contact: str | None = None
        self.dialog: Dialog | None = None
        self.next_hop: SipUri | None = None
        self.goes_back = False
        self.routes: list[str] = []
        self.fields: list[tuple[str, str]] = []
        self.body = b""
        self.content_type: str | None = None
        self._prepared: Request | None = None
        self._prepared_for: tuple[int, str | None] = (0, None)

    def prepare(self) -> Request:
        """What :meth:`build` will give, to be looked at: it tells what is wrong before anything is done.

        Nothing but :attr:`cseq` and :attr:`contact` may change afterwards.

        :raises ValueError: as :meth:`build`.
        """
        prepared = self._prepared
        if prepared is None or self._prepared_for != (self.cseq, self.contact):
            self._prepared_for = (self.cseq, self.contact)
            prepared = self._prepared = self._build()
        return prepared

    def build(self) -> Request:
        """The request, complete but for its Via, which the core adds when it knows the flow; another one each time.

        :raises ValueError: when a part holds CR, LF or NUL, the method is no token, or a body has no type.
        """
        prepared, self._prepared = self._prepared, None
        if prepared is None or self._prepared_for != (self.cseq, self.contact):
            if prepared is None or self._prepared_for != (self.cseq, None) or self.contact is None:
                return self._build()
            # The Contact, which belongs to a flow, is usually all that was missing.
            prepared.headers.insert(5 + len(self.routes), "Contact", self.contact)
        return prepared

    def _build(self) -> Request:
        if self.body and not self.content_type:
            raise ValueError("a body needs a content type (RFC 3261 section 7.4.1)")
        names = ["Max-Forwards"]
        values = [self.max_forwards]
        if self.routes:
            names += ["Route"] * len(self.routes)
            values += self.routes
        names += ("From", "To", "Call-ID", "CSeq")
        values += (f"{self.from_};tag={self.from_tag}", self.to, self.call_id, f"{self.cseq} {self.method}")
        if self.contact is not None:
            names.append("Contact")
            values.append(self.contact)
        headers = Headers.adopt(names, [check_value(name, value) for name, value in zip(names, values, strict=True)])
        for name, value in self.fields:
            headers.add(name, value)
        if self.content_type and self.body:
            headers.add("Content-Type", self.content_type)
        return Request(self.method, self.uri, headers, self.body)


_ECHOED_ONCE = ["Via", "From", "To", "Call-ID", "CSeq"]
_ECHOED = frozenset(_ECHOED_ONCE)


@final
class Echo:
    """What every response to one request copies from it (section 8.2.6.2), taken when the request came.

    The copies make a response independent of what an application does to the request that it was given.

    :ivar to_tag: the tag that our responses add to To; fixed by the first of them.
    """

    __slots__ = ("_names", "_values", "has_to_tag", "to_tag")

    def __init__(self, headers: Headers, has_to_tag: bool, texts: list[str] | None = None) -> None:
        """
        :param texts: what :meth:`~sip_p2p.sip.message.Message.read_mandatory` returned, where it could.
        """
        self.has_to_tag = has_to_tag
        self.to_tag = ""
        if texts is not None:
            self._names = _ECHOED_ONCE
            self._values = texts
            return
        names, values = headers.parallel_lists()
        self._names = []
        self._values = []
        for index, name in enumerate(names):
            if name in _ECHOED and (name == "Via" or name not in self._names):
                self._names.append(name)
                self._values.append(values[index])

    def shorten(self, request: Request) -> Request:
        """*request* with the copied fields and nothing else."""
        return Request.adopt(request.method, request.uri_text, Headers.adopt(self._names, self._values), b"")

    def response(self, status: int, reason: str | None = None) -> Response:
        """A response with the copied fields and nothing else; 100 carries no tag of ours."""
        names = self._names[:]
        values = self._values[:]
        if status > 100 and not self.has_to_tag and self.to_tag and "To" in names:
            index = names.index("To")
            values[index] = f"{values[index]};tag={self.to_tag}"
        return Response.adopt(
            status, reason_phrase(status) if reason is None else reason, Headers.adopt(names, values), b""
        )
