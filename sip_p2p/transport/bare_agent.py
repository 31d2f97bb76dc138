"""HTTP requests without what treq adds to them, for servers that others have named (RFC 9110).

An answer is asked for, and given to treq, as it stands: nothing is unpacked, since a few octets could become gigabytes,
and no cookie is sent or kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.web.iweb import IBodyProducer, IResponse

__all__ = ["BareAgent", "is_compressed"]

_COMPRESSED = "x-compressed"


@implementer(IAgent)
@final
class BareAgent:
    """An agent that asks for the answer as it is, by way of another one.

    :param agent: makes the requests.
    :param url: what is asked whatever treq says, for URLs that do not survive that it reads them; None for what it
        says.
    """

    def __init__(self, agent: IAgent, url: str | None = None) -> None:
        self._agent = agent
        self._url = None if url is None else url.encode("ascii")

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        """Ask for the answer as it is."""
        plain = Headers() if headers is None else headers.copy()
        plain.setRawHeaders("accept-encoding", ["identity"])
        plain.removeHeader("cookie")
        asked = uri if self._url is None else self._url
        return self._agent.request(method, asked, plain, bodyProducer).addCallback(_bare)


def is_compressed(response: IResponse) -> bool:
    """Whether an answer that came by a :class:`BareAgent` is compressed, which nobody has asked for."""
    return bool(response.headers.hasHeader(_COMPRESSED))


def _bare(response: IResponse) -> IResponse:
    headers = response.headers
    headers.removeHeader("set-cookie")
    encoding = headers.getRawHeaders("content-encoding", [])
    headers.removeHeader("content-encoding")
    headers.removeHeader(_COMPRESSED)
    if any(each.strip().lower() not in ("", "identity") for each in encoding):
        # Under its own name treq would unpack what it stands for.
        headers.setRawHeaders(_COMPRESSED, ["yes"])
    return response
