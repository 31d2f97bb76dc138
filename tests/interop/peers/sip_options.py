"""sofia-sip's ``sip-options``: asks with OPTIONS over UDP, TCP and TLS, with or without a certificate of its own."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from tests.interop.peers.peer import Peer
from tests.interop.peers.program import PeerFailed, free_port

if TYPE_CHECKING:
    from tests.interop.certificates import Leaf

__all__ = ["SipOptions"]


class SipOptions(Peer):
    """``sip-options``, started once for each question."""

    packages = "sofia-sip-bin"
    programs = ("sip-options",)

    async def ask(self, uri: str, certificate: Leaf | None = None, trust: str | None = None) -> tuple[int, str]:
        """Send OPTIONS; the status of the answer, and all that it printed of it.

        :param certificate: what it presents over TLS; None for nothing.
        :param trust: the authorities that it is given for TLS; it verifies nobody with them.
        """
        folder = os.path.join(self.directory, ".sip", "auth")
        os.makedirs(folder, exist_ok=True)
        for source, name in ((certificate and certificate.certificate, "agent.pem"), (trust, "cafile.pem")):
            if source is not None:
                os.symlink(source, os.path.join(folder, name))
        scheme = "sips" if "transport=tls" in uri else "sip"
        own = f"{scheme}:{self.interface}:{free_port(self.interface)}"
        program = await self.run("sip-options", ["--all", "-m", own, uri], {"HOME": self.directory})
        status = re.search(r"\bSIP/2\.0 (\d\d\d)", program.text)
        if status is None:
            raise PeerFailed(f"no answer\n{program.report()}")
        return int(status.group(1)), program.text
