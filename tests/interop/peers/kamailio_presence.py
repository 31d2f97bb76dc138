"""Kamailio as the presence server of a domain: it keeps what is published, and tells those who subscribe."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from tests.interop.peers.kamailio import Kamailio
from tests.interop.peers.kamailio_registrar import find_module, tls_of_domain

if TYPE_CHECKING:
    from tests.interop.certificates import Leaf

__all__ = ["DOMAIN", "KamailioPresence"]

DOMAIN = "presence.example"
"""The domain that it serves, and what its certificate proves."""

_TABLES = "/usr/share/kamailio/dbtext/kamailio"

_CONFIGURATION = """#!KAMAILIO
debug=2
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
enable_tls=yes
dns_try_naptr=off
tcp_connection_lifetime=600
{listen}
alias={domain}

loadmodule "jsonrpcs.so"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "tls.so"
loadmodule "db_text.so"
loadmodule "presence.so"
loadmodule "presence_xml.so"
loadmodule "presence_dialoginfo.so"
loadmodule "presence_mwi.so"

loadmodule "pua.so"
loadmodule "pua_rpc.so"

modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "dgram_socket", "{directory}/rpc")
modparam("jsonrpcs", "dgram_workers", 1)
modparam("tls", "config", "{directory}/tls.cfg")
modparam("presence", "db_url", "text://{directory}")
modparam("presence", "subs_db_mode", 0)
modparam("presence", "publ_cache", 0)
modparam("presence", "server_address", "sip:{host}:{own}")
modparam("presence", "min_expires", {least})
modparam("presence", "min_expires_action", 1)
modparam("presence", "max_expires", {most})
modparam("presence", "clean_period", 1)
modparam("presence_xml", "db_url", "text://{directory}")
modparam("presence_xml", "force_active", 1)
modparam("pua", "db_mode", 0)
modparam("pua", "db_url", "text://{directory}")

request_route {{
    xlog("L_NOTICE", "SEEN|$rm|$ru|$proto|$si|$sp|||$hdr(Route)|$(rb{{s.encode.hexa}})|\\n");
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (!t_newtran()) {{
        sl_reply_error();
        exit;
    }}
    if (is_method("PUBLISH")) {{
        handle_publish();
        exit;
    }}
    if (is_method("SUBSCRIBE")) {{
        handle_subscribe();
        exit;
    }}
    t_reply("405", "Method Not Allowed");
}}
"""


class KamailioPresence(Kamailio):
    """One Kamailio that serves :data:`DOMAIN` with presence, dialogs and message summaries, and lets everybody watch.

    Its tables are files in its folder.
    """

    packages = "kamailio kamailio-tls-modules kamailio-presence-modules"

    @classmethod
    def missing(cls) -> str | None:
        """Presence comes in a package of its own."""
        program = super().missing()
        if program is not None or find_module("presence_mwi"):
            return program
        return "Kamailio's module presence_mwi"

    async def serve(
        self, certificate: Leaf, trust: str, transport: str = "tls", *, least: int = 0, most: int = 3600
    ) -> None:
        """Start it.

        :param transport: over which it sends.
        :param least: the shortest time that it takes, in seconds.
        :param most: the longest time that it grants.
        """
        listen = "\n".join(f"listen={name}:{self.host}:{port}" for name, port in self.ports.items())
        own = str(self.ports[transport]) + ("" if transport == "udp" else f";transport={transport}")
        for table in ("version", "presentity", "active_watchers", "watchers", "xcap", "pua"):
            shutil.copy(os.path.join(_TABLES, table), self.directory)
        self.write_files(
            {
                "kamailio.cfg": _CONFIGURATION.format(
                    listen=listen,
                    domain=DOMAIN,
                    directory=self.directory,
                    host=self.host,
                    own=own,
                    least=least,
                    most=most,
                ),
                "tls.cfg": tls_of_domain(certificate, trust),
            }
        )
        arguments = ("-f", f"{self.directory}/kamailio.cfg", "-DD", "-E", "-Y", self.directory, "-w", self.directory)
        program = self.launch("kamailio", *arguments, "-m", "32", "-M", "4")
        await program.bound(*self.ports.items())

    async def publish(self, target: str, event: str, content_type: str, body: str, expires: int = 600) -> None:
        """Publish something for *target*, there, without waiting for the answer; one thing of each target and event."""
        head = [target, str(expires), event, content_type if body else ".", "kamailio", ".", target, "."]
        await self._call("pua.send_publish", [*head, body] if body else head)

    def proxy(self, transport: str = "tls") -> str:
        """How it is named as a proxy."""
        return f"{transport}:127.0.0.1:{self.ports[transport]}"
