"""The Kamailio of ``docs/farm.rst``, with the configuration that the page shows, on addresses of the test's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.interop.peers.peer import Peer
from tests.interop.peers.program import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.interop.certificates import Leaf

__all__ = ["HOSTS", "PACKAGING", "Dispatcher"]

PACKAGING = Path(__file__).parents[3] / "packaging"

HOSTS = ("one.b.example", "two.b.example", "three.b.example")
"""The endpoints, as the files name them."""


class Dispatcher(Peer):
    """One Kamailio that gives work to whoever of the farm lives."""

    packages = "kamailio kamailio-tls-modules"
    programs = ("kamailio",)

    def __init__(self, reactor: Any, directory: str) -> None:
        super().__init__(reactor, directory)
        self.port = free_port()

    async def start(self, certificate: Leaf, trust: str, endpoints: Sequence[int]) -> None:
        """Start it.

        :param certificate: what it proves, both ways.
        :param endpoints: the ports of the endpoints, in the order of :data:`HOSTS`.
        """
        listed = (PACKAGING / "farm" / "dispatcher.list").read_text("ascii")
        for host, port in zip(HOSTS, endpoints, strict=True):
            listed = listed.replace(f"{host}:5061", f"127.0.0.1:{port}")
        tls = (PACKAGING / "farm" / "tls.cfg").read_text("ascii")
        tls = tls.replace("/etc/kamailio/ca.pem", trust)
        tls = re.sub(r"/etc/kamailio/proxy\.example(-key)?\.pem", certificate.certificate, tls)
        self.write_files({"dispatcher.list": listed, "tls.cfg": tls})
        program = self.launch(
            "kamailio",
            *("-f", str(PACKAGING / "farm" / "kamailio.cfg"), "-DD", "-E", "-Y", self.directory, "-w", self.directory),
            *("-m", "32", "-M", "4"),
            *("-A", f"PUBLIC=tls:127.0.0.1:{self.port}"),
            *("-A", f'ENDPOINTS="{self.directory}/dispatcher.list"'),
            *("-A", f'TLS_FILE="{self.directory}/tls.cfg"'),
        )
        await program.bound(("tls", self.port))
