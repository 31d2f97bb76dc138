"""What Twisted finds of sip_p2p: ``twistd sip-p2p``, and the endpoint descriptions ``sips:`` and ``sip:``.

Every Twisted program on the machine that looks for plugins imports this module. It therefore names things, and imports
nothing of sip_p2p before one of them is chosen.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import ServiceMaker
from twisted.internet.interfaces import IStreamServerEndpointStringParser
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamServerEndpointStringParser)
class DescriptionParser:
    """Endpoint descriptions with one prefix, for ``serverFromString`` and everything that takes such strings."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix

    def parseStreamServer(self, reactor: Any, *args: Any, **kwargs: Any) -> Any:
        """The endpoint that a description describes."""
        from sip_p2p.transport.listening.descriptions import plugin_endpoint

        return plugin_endpoint(reactor, self.prefix, args, kwargs)


service = ServiceMaker("sip_p2p", "sip_p2p.service.service", "A SIP party over mutual TLS", "sip-p2p")
sips = DescriptionParser("sips")
sip = DescriptionParser("sip")
