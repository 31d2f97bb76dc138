"""baresip: a softphone that sends and answers OPTIONS, MESSAGE, presence, calls and transfers over UDP, TCP and TLS.

It presents a certificate, both when it answers and when it dials, and verifies none. It does not run on a host that has
loopback addresses only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.interop.peers.peer import Peer
from tests.interop.peers.program import PeerFailed, free_port

if TYPE_CHECKING:
    from tests.interop.certificates import Leaf

__all__ = ["Baresip"]

_MODULES = "/usr/lib/baresip/modules"

# Speech comes from nowhere and goes nowhere.
_AUDIO = """module g711.so
module aubridge.so
audio_player aubridge,a
audio_source aubridge,a
audio_alert aubridge,b
"""


class Baresip(Peer):
    """One baresip without sound, told what to do through its standard input."""

    packages = "baresip-core"
    programs = ("baresip",)

    def __init__(self, reactor: Any, directory: str, interface: str) -> None:
        super().__init__(reactor, directory, interface)
        # It takes the next port for TLS.
        self.port = free_port(interface)

    def uri(self, transport: str, user: str = "peer") -> str:
        """A URI that reaches it over *transport*."""
        suffix = "" if transport == "udp" else f";transport={transport}"
        port = self.port + 1 if transport == "tls" else self.port
        return f"sip:{user}@{self.interface}:{port}{suffix}"

    async def start(
        self,
        contact: str,
        transport: str,
        certificate: Leaf | None = None,
        *,
        answers: bool = True,
        watches: bool = False,
        mailbox: bool = False,
        publishes: int = 0,
        registers: int = 0,
        login: tuple[str, str] | None = None,
    ) -> None:
        """Start it.

        :param contact: the URI to which :meth:`message` sends.
        :param transport: over which it sends.
        :param certificate: what it presents.
        :param answers: whether it accepts calls by itself, or lets them ring.
        :param watches: whether it subscribes to the presence of the contact.
        :param mailbox: whether it subscribes to its own mailbox.
        :param publishes: for how many seconds it publishes its presence; 0 for not at all.
        :param registers: for how many seconds it registers at the contact; 0 for not at all. Without that it neither
            subscribes to its mailbox nor publishes.
        :param login: the user name and the password that it gives to whoever asks; None for none.
        """
        account = (
            f"<{self.uri(transport)}>;regint={registers};answermode={'auto' if answers else 'manual'};catchall=yes"
        )
        if transport != "udp":
            # It drops a contact's URI parameters; what it is told of a proxy it keeps, and sends as a Route.
            account += f';outbound="{contact}"'
        if login is not None:
            account += f";auth_user={login[0]};auth_pass={login[1]}"
        account += f";mwi={'yes' if mailbox else 'no'};pubint={publishes}"
        shown = "" if certificate is None else f"sip_certificate {certificate.certificate}\n"
        modules = f"module stdio.so\n{_AUDIO}"
        modules += "".join(f"module_app {name}.so\n" for name in ("account", "contact", "menu", "presence", "mwi"))
        self.write_files(
            {
                "config": f"sip_listen {self.interface}:{self.port}\n{shown}module_path {_MODULES}\n{modules}",
                "accounts": f"{account}\n",
                "contacts": f'"us" <{contact}>{";presence=p2p" if watches else ""}\n',
            }
        )
        program = self.launch("baresip", "-f", self.directory, "-s", "-v", "-4")
        await program.find("baresip is ready")

    def options(self, uri: str) -> None:
        """Send OPTIONS."""
        self.program.write(f"/options {uri}\n")

    def dial(self, uri: str) -> None:
        """Call."""
        self.program.write(f"/dial {uri}\n")

    def hang_up(self) -> None:
        """End the call, or refuse it."""
        self.program.write("/hangup\n")

    def hold(self) -> None:
        """Put the call on hold, by re-INVITE."""
        self.program.write("/hold\n")

    def resume(self) -> None:
        """Go on with it."""
        self.program.write("/resume\n")

    def message(self, text: str) -> None:
        """Send MESSAGE to the contact."""
        self.program.write(f"/message {text}\n")

    def is_there(self, *, there: bool = True) -> None:
        """Say that one can be reached, or cannot."""
        self.program.write("/presence_online\n" if there else "/presence_offline\n")

    def transfer(self, uri: str) -> None:
        """Send the other side of the call to *uri*."""
        self.program.write(f"/transfer {uri}\n")

    async def shows(self, status: str) -> None:
        """Wait until its list of contacts shows us so: ``Unknown``, ``Online``, ``Busy`` or ``Offline``.

        :raises PeerFailed: when it does not in time.
        """
        program = self.program
        deadline = self.reactor.seconds() + 15.0
        while True:
            start = len(program.text)
            program.write("/contacts\n")
            line = await program.find(r"(Unknown|Online|Busy|Offline).*\bus\b", start=start)
            if line[1] == status:
                return
            if self.reactor.seconds() > deadline:
                raise PeerFailed(f"not {status}\n{program.report()}")
