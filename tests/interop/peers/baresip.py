"""baresip: a softphone that sends and answers OPTIONS and MESSAGE over UDP, TCP and TLS.

It presents a certificate when it answers and verifies none. It does not run on a host that has loopback addresses only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.interop.peers.program import Program, find_program, free_port

if TYPE_CHECKING:
    from tests.interop.certificates import Leaf

__all__ = ["Baresip"]

_MODULES = "/usr/lib/baresip/modules"


class Baresip:
    """One baresip without audio, told what to do through its standard input."""

    packages = "baresip-core"

    def __init__(self, reactor, directory: str, interface: str) -> None:
        self.reactor = reactor
        self.directory = directory
        self.interface = interface
        # It takes the next port for TLS.
        self.port = free_port(interface)
        self.program: Program | None = None

    @staticmethod
    def missing() -> str | None:
        """What is not installed, or None."""
        return None if find_program("baresip") is not None else "baresip"

    def uri(self, transport: str, user: str = "peer") -> str:
        """A URI that reaches it over *transport*."""
        suffix = "" if transport == "udp" else f";transport={transport}"
        port = self.port + 1 if transport == "tls" else self.port
        return f"sip:{user}@{self.interface}:{port}{suffix}"

    async def start(self, contact: str, transport: str, certificate: Leaf | None = None) -> None:
        """Start it.

        :param contact: the URI to which :meth:`message` sends.
        :param transport: over which it sends.
        :param certificate: what it presents.
        """
        account = f"<{self.uri(transport)}>;regint=0;answermode=auto;catchall=yes"
        if transport != "udp":
            # It drops a contact's URI parameters; what it is told of a proxy it keeps, and sends as a Route.
            account += f';outbound="{contact}"'
        texts = {
            "config": f"sip_listen {self.interface}:{self.port}\n"
            + (f"sip_certificate {certificate.certificate}\n" if certificate is not None else "")
            + f"module_path {_MODULES}\nmodule stdio.so\nmodule_app account.so\nmodule_app contact.so\n"
            + "module_app menu.so\n",
            "accounts": f"{account}\n",
            "contacts": f'"us" <{contact}>\n',
        }
        for name, text in texts.items():
            with open(os.path.join(self.directory, name), "w", encoding="utf-8") as file:
                file.write(text)
        self.program = Program(
            self.reactor, [find_program("baresip") or "baresip", "-f", self.directory, "-s", "-v", "-4"]
        )
        self.program.start(self.directory)
        await self.program.find("baresip is ready")

    def options(self, uri: str) -> None:
        """Send OPTIONS."""
        self.program.write(f"/options {uri}\n")

    def message(self, text: str) -> None:
        """Send MESSAGE to the contact."""
        self.program.write(f"/message {text}\n")

    async def stop(self) -> None:
        """End it."""
        if self.program is not None:
            await self.program.stop()
