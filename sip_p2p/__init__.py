"""A SIP party for Twisted that needs no registrar: it listens over mutual TLS, dials its peers and answers them.

The map of the code, from the bottom up; each package imports only what stands above it here:

===================  =================================================================================================
``errors``           every exception, in one tree
``sip``              SIP itself: grammar, messages, transactions, the rules of RFC 3261; no socket, no clock, no Twisted
``transport``        sockets, TLS and identity, connections, the clock, and the driver that feeds the core
``endpoint``         what an application programs against: endpoints, connection managers, events
``observe``          taps on what is sent and received: traces and ladders
``service``          ``twistd sip-p2p`` and the ``sip-p2p`` command
===================  =================================================================================================

Beside them stand ``pki`` (a private authority and its certificates) and ``testing`` (a network in memory on one clock).

The names below are the public ones; each is imported when it is first asked for, so that ``sip_p2p.sip`` can be used
without Twisted, and nothing here ever installs a reactor.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from sip_p2p.errors import (
    AlreadyResponded,
    ConnectionFailure,
    EndpointTerminated,
    InvalidOperation,
    ListenFailed,
    MalformedMessage,
    NotListening,
    OperationTimeout,
    RequestFailed,
    RestrictedHeader,
    SipError,
    TlsFailure,
    TlsFailureReason,
)

if TYPE_CHECKING:
    from sip_p2p.sip.headers import Headers
    from sip_p2p.sip.message import Request, Response

__version__ = "0.1.0"

__all__ = [
    "AlreadyResponded",
    "ConnectionFailure",
    "EndpointTerminated",
    "Headers",
    "InvalidOperation",
    "ListenFailed",
    "MalformedMessage",
    "NotListening",
    "OperationTimeout",
    "Request",
    "RequestFailed",
    "Response",
    "RestrictedHeader",
    "SipError",
    "TlsFailure",
    "TlsFailureReason",
    "__version__",
]

_HOMES = {
    "Headers": "sip_p2p.sip.headers",
    "Request": "sip_p2p.sip.message",
    "Response": "sip_p2p.sip.message",
}

if not TYPE_CHECKING:

    def __getattr__(name):
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(importlib.import_module(home), name)
        return value

    def __dir__():
        return sorted(__all__)
