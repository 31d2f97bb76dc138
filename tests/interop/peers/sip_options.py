"""sofia-sip's ``sip-options``: asks with OPTIONS over UDP, TCP and TLS, with or without a certificate of its own."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from tests.interop.peers.program import PeerFailed, Program, find_program, free_port

if TYPE_CHECKING:
    from tests.interop.certificates import Leaf

__all__ = ["SipOptions"]


class SipOptions:
    """``sip-options``, started once for each question."""

    packages = "sofia-sip-bin"

    def __init__(self, reactor, directory: str, interface: str = "127.0.0.1") -> None:
        self.reactor = reactor
        self.directory = directory
        self.interface = interface

    @staticmethod
    def missing() -> str | None:
        """What is not installed, or None."""
        return None if find_program("sip-options") is not None else "sip-options"

    async def ask(self, uri: str, certificate: Leaf | None = None, trust: str | None = None) -> tuple[int, str]:
        """Send OPTIONS; the status of the answer, and all that it printed of it.

        :param certificate: what it presents over TLS; None for nothing.
        :param trust: the authorities that it trusts over TLS.
        """
        folder = os.path.join(self.directory, ".sip", "auth")
        os.makedirs(folder, exist_ok=True)
        for source, name in ((certificate and certificate.certificate, "agent.pem"), (trust, "cafile.pem")):
            if source is not None:
                with open(source, encoding="ascii") as text, open(os.path.join(folder, name), "w") as copy:
                    copy.write(text.read())
        scheme = "sips" if "transport=tls" in uri else "sip"
        own = f"{scheme}:{self.interface}:{free_port(self.interface)}"
        program = Program(self.reactor, [find_program("sip-options") or "sip-options", "--all", "-m", own, uri])
        program.start(self.directory, {"HOME": self.directory})
        try:
            await program.ended(45.0)
        finally:
            await program.stop()
        status = re.search(r"\bSIP/2\.0 (\d\d\d)", program.text)
        if status is None:
            raise PeerFailed(f"no answer\n{program.report()}")
        return int(status.group(1)), program.text

    async def stop(self) -> None:
        """Nothing outlives its method."""
