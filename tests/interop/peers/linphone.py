"""linphonec: a softphone; sends MESSAGE and calls over UDP, TCP and, as a client, TLS with a certificate of its own.

It verifies name and authority, negotiates TLS 1.2 and sends an IP address as SNI. Its own TLS port resets handshakes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests.interop.peers.peer import Peer
from tests.interop.peers.program import free_port

if TYPE_CHECKING:
    from tests.interop.certificates import Leaf

__all__ = ["Linphone"]

_SETTINGS = """[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls_port}
default_proxy=0
verify_server_certs=1
verify_server_cn=1
keepalive_period=3000
{tls}
[net]
mtu=1300

[sound]
playback_dev_id=
capture_dev_id=
ringer_dev_id=

[proxy_0]
reg_proxy=<{target}>
reg_route=<{target}>
reg_identity=sip:linphone@127.0.0.1
reg_sendregister=0
publish=0
"""

_LOGIN = """
[auth_info_0]
username=linphone
userid={0}
realm={1}
passwd={2}
"""


class Linphone(Peer):
    """One linphonec, told what to do through its standard input."""

    packages = "linphone-cli"
    programs = ("linphonec",)

    def __init__(self, reactor: Any, directory: str) -> None:
        super().__init__(reactor, directory)
        self.ports = {transport: free_port() for transport in ("udp", "tcp", "tls")}

    def uri(self, transport: str) -> str:
        """A URI that reaches it over *transport*."""
        suffix = "" if transport == "udp" else f";transport={transport}"
        return f"sip:linphone@127.0.0.1:{self.ports[transport]}{suffix}"

    async def start(
        self,
        target: str,
        certificate: Leaf | None = None,
        trust: str | None = None,
        *,
        answers: bool = False,
        login: tuple[str, str, str] | None = None,
    ) -> None:
        """Start it.

        :param target: the URI through which everything that it sends goes.
        :param certificate: what it presents over TLS; None for nothing.
        :param trust: the authorities that it trusts over TLS.
        :param answers: whether it accepts calls by itself.
        :param login: the user name, the realm and the password that it gives to whoever asks; None for none. It
            asks for another password, on its standard output, when that one is refused, and takes the next command
            for it.
        """
        os.makedirs(os.path.join(self.directory, ".local", "share", "linphone"))
        tls = "" if trust is None else f"root_ca={trust}\n"
        if certificate is not None:
            tls += f"client_cert_chain={certificate.certificate}\nclient_cert_key={certificate.key}\n"
        ports = {"udp": self.ports["udp"], "tcp": self.ports["tcp"], "tls_port": self.ports["tls"]}
        settings = _SETTINGS.format(**ports, target=target, tls=tls)
        settings += "" if login is None else _LOGIN.format(*login)
        self.write_files({"settings": settings})
        program = self.launch(
            "linphonec",
            *("-c", f"{self.directory}/settings", "-d", "6", "-l", self._log_path, *(["-a"] if answers else [])),
            environment={"HOME": self.directory, "XDG_DATA_HOME": ""},
        )
        await program.bound(("udp", self.ports["udp"]), ("tcp", self.ports["tcp"]))
        await program.find("linphonec> ")

    @property
    def _log_path(self) -> str:
        return os.path.join(self.directory, "log")

    @property
    def log(self) -> str:
        """What it wrote into its log file."""
        if not os.path.exists(self._log_path):
            return ""
        with open(self._log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def command(self, text: str) -> None:
        """Type a command, such as ``call URI``, ``answer``, ``pause``, ``resume`` or ``terminate``."""
        self.program.write(f"{text}\n")

    def message(self, uri: str, text: str) -> None:
        """Send MESSAGE."""
        self.program.write(f"chat {uri} {text}\n")
