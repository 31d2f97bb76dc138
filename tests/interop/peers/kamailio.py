"""Kamailio: answers, originates and relays, over UDP, TCP and TLS with certificates asked for in both directions."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import ConnectedDatagramProtocol

from tests.interop.peers.kamailio_settings import head, seen, tls_settings
from tests.interop.peers.peer import Peer
from tests.interop.peers.program import FakeClock, PeerFailed, free_port, until

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twisted.python.failure import Failure

    from tests.interop.certificates import Leaf

__all__ = ["Kamailio", "SeenRequest"]

_CONFIGURATION = """{head}modparam("tm", "fr_timer", {patience})
modparam("rr", "enable_double_rr", 1)
{web}
request_route {{
    $var(name) = "";
    $var(verified) = "";
    if (proto == TLS) {{
        $var(name) = $tls_peer_subject_cn;
        $var(verified) = $tls_peer_verified;
    }}
{seen}    if (loose_route()) {{
        xlog("L_NOTICE", "ROUTED|$rm|$ru|$du|\\n");
    }}
{relays}
    # Within dialogs every name is this host: what a name server would say, which it does not ask for names of hosts.
    if (has_totag() && $du == $null && $rd =~ "[a-z]$" && uri != myself) {{
        $du = "sip:{host}:" + $rp + ";transport=" + $(ru{{uri.transport}});
    }}
    if (uri == myself && $rU == "kamailio") {{
        if (!is_method("OPTIONS|MESSAGE")) {{
            sl_send_reply("405", "Method Not Allowed");
            exit;
        }}
        append_to_reply("Contact: <sip:kamailio@{alias}>\\r\\nAllow: OPTIONS, MESSAGE\\r\\nAccept: text/plain\\r\\n");
        t_newtran();
        t_reply("200", "Kamailio says yes");
        exit;
    }}
    if ($du == $null && uri == myself) {{
        sl_send_reply("404", "Nobody Here");
        exit;
    }}
    record_route();
    t_on_reply("ANSWERED");
    t_relay();
}}

onreply_route[ANSWERED] {{
    xlog("L_NOTICE", "REPLY|$rs|$proto|$si|$sp|\\n");
}}
"""

_WEB = """
loadmodule "xhttp.so"
loadmodule "websocket.so"

event_route[xhttp:request] {
    if ($hdr(Upgrade) =~ "websocket" && $hdr(Connection) =~ "Upgrade" && $rm == "GET") {
        ws_handle_handshake();
        exit;
    }
    xhttp_reply("404", "Not Found", "", "");
}
"""

_BENEATH = {"ws": "tcp", "wss": "tls"}

_REFUSAL = """    if ($rU == "{user}") {{
        append_to_reply("Retry-After: {seconds}\\r\\n");
        sl_send_reply("503", "Busy");
        exit;
    }}
"""

_FORK = """    if ($rU == "{user}" && !has_totag() && is_method("INVITE")) {{
        $ru = "{first}";
{branches}    }}
"""

_RELAY = """    if ($rU == "{user}") {{
        $du = "{target}";
    }}
"""


class _RemoteCall(ConnectedDatagramProtocol):
    """One call over Kamailio's JSON-RPC datagram socket."""

    transport: Any

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.answer: Deferred[bytes] = Deferred()

    def startProtocol(self) -> None:
        self.transport.write(self.request)

    def datagramReceived(self, datagram: bytes, addr: object = None) -> None:
        if not self.answer.called:
            self.answer.callback(datagram)

    def connectionFailed(self, failure: Failure) -> None:
        self.answer.errback(failure)


class SeenRequest:
    """A request as Kamailio's script saw it.

    :ivar common_name: the CN of the certificate that its sender presented over TLS, empty without one.
    :ivar verified: Kamailio's verdict about that certificate.
    :ivar route: its Route fields.
    """

    def __init__(self, line: str) -> None:
        words = line.split("|")
        self.method, self.uri, self.transport = words[0], words[1], words[2].lower()
        self.host, self.port = words[3], words[4]
        self.common_name = words[5].replace("<null>", "")
        self.verified = words[6] == "1"
        self.route = words[7].replace("<null>", "")
        self.body = bytes.fromhex(words[8]) if words[8] != "<null>" else b""


class Kamailio(Peer):
    """One Kamailio of one worker on ports of its own.

    It answers OPTIONS and MESSAGE to the user ``kamailio``, relays what :meth:`start` was given a route for, and
    everything else that is not for itself, with a Record-Route.
    """

    packages = "kamailio kamailio-tls-modules kamailio-extra-modules"
    programs = ("kamailio",)

    def __init__(self, reactor: Any, directory: str, interface: str = "127.0.0.1") -> None:
        super().__init__(reactor, directory, interface)
        port = free_port(interface)
        self.ports = {"udp": port, "tcp": port, "tls": free_port(interface)}
        self._seen = 0

    def uri(self, transport: str, user: str = "kamailio", host: str | None = None) -> str:
        """A URI that reaches this Kamailio over *transport*."""
        suffix = "" if transport == "udp" else f";transport={transport}"
        port = self.ports[_BENEATH.get(transport, transport)]
        return f"sip:{user}@{host or self.host}:{port}{suffix}"

    async def start(
        self,
        certificate: Leaf,
        trust: str,
        *,
        mutual: bool = True,
        client_certificate: Leaf | None = None,
        relays: Mapping[str, str] | None = None,
        forks: Mapping[str, Sequence[str]] | None = None,
        alias: str = "kamailio.example",
        patience: float = 8.0,
        clock: str = "",
        names: Mapping[str, Leaf] | None = None,
        busy: Mapping[str, int] | None = None,
        takes_aliases: bool = False,
        revoked: str = "",
        websocket: bool = False,
    ) -> None:
        """Write the configuration and start.

        :param certificate: what it presents as a server.
        :param trust: the path of the authorities that it trusts.
        :param mutual: whether it demands a certificate of those who connect.
        :param client_certificate: what it presents when it connects; None for nothing.
        :param alias: the domain that is its own.
        :param patience: seconds after which it gives up on an answer.
        :param clock: how far its clock is off, such as ``+30d``.
        :param names: what it presents to those who ask for a name (SNI).
        :param busy: user part of a Request-URI -> Retry-After in seconds of the 503 that such requests get.
        :param takes_aliases: whether ``;alias`` in a Via is believed: then what is for its port goes over the
            connection that it came by.
        :param revoked: the path of a list of revoked certificates.
        :param websocket: whether its TCP and TLS ports take WebSockets as well.
        :param relays: user part of a Request-URI -> URI to which such requests go on.
        :param forks: user part of a Request-URI -> URIs to all of which such INVITEs go on.
        """
        routes = "".join(_RELAY.format(user=user, target=target) for user, target in (relays or {}).items())
        for user, (first, *others) in (forks or {}).items():
            branches = "".join(f'        append_branch("{uri}");\n' for uri in others)
            routes += _FORK.format(user=user, first=first, branches=branches)
        routes += "".join(_REFUSAL.format(user=user, seconds=seconds) for user, seconds in (busy or {}).items())
        # A request over HTTP has no Content-Length.
        core = (
            "tcp_accept_aliases=yes\n" if takes_aliases else ""
        ) + f"tcp_accept_no_cl={'yes' if websocket else 'no'}\n"
        configuration = _CONFIGURATION.format(
            head=head(self.directory, self._places, alias, "corex", core=core),
            seen=seen("$var(name)", "$var(verified)"),
            web=_WEB if websocket else "",
            host=self.host,
            alias=alias,
            relays=routes,
            patience=int(patience * 1000),
        )
        tls = tls_settings(
            certificate, trust, mutual=mutual, client_certificate=client_certificate, names=names, revoked=revoked
        )
        await self.run_with(configuration, tls, clock)

    @property
    def _places(self) -> list[str]:
        """Where it listens."""
        return [f"{name}:{self.host}:{port}" for name, port in self.ports.items()]

    async def run_with(self, configuration: str, tls: str, clock: str = "") -> None:
        """Write these files, start, and wait until it listens."""
        directory = self.directory
        self._seen = 0
        self.write_files({"kamailio.cfg": configuration, "tls.cfg": tls})
        program = self.launch(
            "kamailio",
            *("-f", f"{directory}/kamailio.cfg", "-DD", "-E", "-Y", directory, "-w", directory, "-m", "32", "-M", "4"),
            environment=FakeClock.environment(clock),
        )
        await program.bound(*self.ports.items())

    async def request(self, method: str, uri: str, body: str = "", headers: tuple[str, ...] = ()) -> int:
        """Send a request out of a dialog and wait for its final status (408 and 477 are Kamailio's own words for
        silence and for a connection that could not be had).
        """
        lines = ["From: <sip:kamailio@localhost>", f"To: <{uri}>", *headers]
        if body:
            lines.append("Content-Type: text/plain;charset=UTF-8")
        parameters = [method, uri, ".", ".", "\r\n".join(lines) + "\r\n", body]
        return int((await self._call("tm.t_uac_wait_block", parameters))["code"])

    async def _call(self, method: str, parameters: list[str]) -> dict[str, str]:
        client = _RemoteCall(json.dumps({"jsonrpc": "2.0", "method": method, "params": parameters, "id": 1}).encode())
        path = os.path.join(self.directory, "rpc")
        await until(self.reactor, lambda: os.path.exists(path), 10.0, "Kamailio's control socket")
        own = os.path.join(self.directory, "caller")
        port = self.reactor.connectUNIXDatagram(path, client, bindAddress=own)
        try:
            answer = json.loads(await client.answer.addTimeout(45.0, self.reactor))
        finally:
            await maybeDeferred(port.stopListening)
            if os.path.exists(own):
                os.unlink(own)
        if "result" not in answer:
            raise PeerFailed(f"{parameters} -> {answer}\n{self.program.report()}")
        return cast("dict[str, str]", answer["result"])

    async def saw(self, method: str, seconds: float = 10.0) -> SeenRequest:
        """The next request of *method* that its script saw and this call has not returned yet."""
        found = await self.program.find(rf"SEEN\|({method}\|.*)\|$", seconds, self._seen)
        self._seen = found.end()
        return SeenRequest(found.group(1))

    def saw_more(self, method: str) -> bool:
        """Whether its script saw a request of *method* that :meth:`saw` has not returned yet."""
        return f"SEEN|{method}|" in self.program.text[self._seen :]

    @property
    def saw_any(self) -> bool:
        """Whether any request reached its script."""
        return "SEEN|" in self.program.text

    @property
    def log(self) -> str:
        """All that it wrote."""
        return self.program.text
