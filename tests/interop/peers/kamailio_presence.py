"""Kamailio as the presence server of a domain: it keeps what is published, and tells those who subscribe."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from tests.interop.peers.kamailio_domain import DomainKamailio

if TYPE_CHECKING:
    from tests.interop.certificates import Leaf

__all__ = ["DOMAIN", "KamailioPresence"]

DOMAIN = "presence.example"
"""The domain that it serves, and what its certificate proves."""

_TABLES = "/usr/share/kamailio/dbtext/kamailio"

_MODULES = ("db_text", "presence", "presence_xml", "presence_dialoginfo", "presence_mwi", "pua", "pua_rpc")

_CONFIGURATION = """{head}modparam("presence", "db_url", "text://{directory}")
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
{seen}    if (!t_newtran()) {{
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


class KamailioPresence(DomainKamailio):
    """One Kamailio that serves :data:`DOMAIN` with presence, dialogs and message summaries, and lets everybody watch.

    Its tables are files in its folder.
    """

    packages = "kamailio kamailio-tls-modules kamailio-presence-modules"
    domain = DOMAIN
    module = "presence_mwi"

    async def serve(
        self, certificate: Leaf, trust: str, transport: str = "tls", *, least: int = 0, most: int = 3600
    ) -> None:
        """Start it.

        :param transport: over which it sends.
        :param least: the shortest time that it takes, in seconds.
        :param most: the longest time that it grants.
        """
        own = str(self.ports[transport]) + ("" if transport == "udp" else f";transport={transport}")
        for table in ("version", "presentity", "active_watchers", "watchers", "xcap", "pua"):
            shutil.copy(os.path.join(_TABLES, table), self.directory)
        await self.serve_with(
            _CONFIGURATION, certificate, trust, *_MODULES, host=self.host, own=own, least=least, most=most
        )

    async def publish(self, target: str, event: str, content_type: str, body: str, expires: int = 600) -> None:
        """Publish something for *target*, there, without waiting for the answer; one thing of each target and event."""
        head = [target, str(expires), event, content_type if body else ".", "kamailio", ".", target, "."]
        await self._call("pua.send_publish", [*head, body] if body else head)
