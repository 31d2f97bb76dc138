"""Kamailio as the server of a domain: registrar, digest authentication, and proxy to whom it has registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.interop.peers.kamailio_domain import DomainKamailio

if TYPE_CHECKING:
    from tests.interop.certificates import Leaf

__all__ = ["DOMAIN", "PASSWORD", "KamailioRegistrar"]

DOMAIN = "kamailio.example"
"""The domain that it serves, and what its certificate proves."""

PASSWORD = "a secret of tests"
"""The password of everybody."""

_MODULES = ("path", "usrloc", "registrar", "auth")

_CONFIGURATION = """{head}modparam("usrloc", "db_mode", 0)
modparam("registrar", "use_path", 1)
modparam("registrar", "path_mode", 1)
modparam("registrar", "outbound_mode", {outbound})
modparam("registrar", "gruu_enabled", {gruu})
modparam("registrar", "min_expires", {least})
modparam("registrar", "default_expires", 3600)
modparam("registrar", "max_expires", {most})
modparam("auth", "algorithm", "{algorithm}")
modparam("auth", "nonce_expire", {nonce_lifetime})

request_route {{
{seen}    if (is_method("REGISTER") && proto != UDP) {{
        # The edge: it keeps the flow, and passes the request on to the registrar, which is the same program.
        remove_hf("Route");
        add_path();
        $du = "sip:127.0.0.1:{udp};transport=udp";
        t_relay();
        exit;
    }}
    if (is_method("REGISTER")) {{
        if ({asks} && !pv_www_authenticate("{domain}", "{password}", "0")) {{
            www_challenge("{domain}", "1");
            exit;
        }}
        append_to_reply("Service-Route: <sip:127.0.0.1:{tls};transport=tls;lr>\\r\\n");
        save("location");
        exit;
    }}
    if ({asks_all} && proto != UDP && !has_totag() && is_method("INVITE|MESSAGE|OPTIONS")) {{
        if (!pv_proxy_authenticate("{domain}", "{password}", "0")) {{
            proxy_challenge("{domain}", "1");
            exit;
        }}
        consume_credentials();
        xlog("L_NOTICE", "PROVED|$rm|$au|\\n");
    }}
    loose_route();
    if (uri == myself || is_gruu()) {{
        if (is_method("OPTIONS") && $rU == $null) {{
            sl_send_reply("200", "Here");
            exit;
        }}
        if (!lookup("location")) {{
            sl_send_reply("404", "Not Registered");
            exit;
        }}
    }}
    record_route();
    t_relay();
}}
"""


class KamailioRegistrar(DomainKamailio):
    """One Kamailio that serves :data:`DOMAIN`: over mutual TLS, TCP and UDP."""

    packages = "kamailio kamailio-tls-modules kamailio-extra-modules kamailio-outbound-modules"
    domain = DOMAIN
    module = "outbound"

    async def serve(
        self,
        certificate: Leaf,
        trust: str,
        *,
        algorithm: str = "",
        outbound: bool = True,
        gruu: bool = True,
        least: int = 60,
        most: int = 3600,
        nonce_lifetime: int = 300,
        asks_all: bool = False,
    ) -> None:
        """Start it.

        :param algorithm: ``MD5`` or ``SHA-256``, of the digest that it asks for; empty to ask for none.
        :param outbound: whether it follows RFC 5626.
        :param gruu: whether it gives GRUUs.
        :param least: the shortest time that it takes, in seconds.
        :param most: the longest time that it grants.
        :param nonce_lifetime: for how many seconds its challenges are good.
        :param asks_all: whether it asks with 407 whoever wants a request out of a dialog to be passed on.
        """
        await self.serve_with(
            _CONFIGURATION,
            certificate,
            trust,
            *_MODULES,
            first=("stun", "outbound"),
            outbound=int(outbound),
            gruu=int(gruu),
            least=least,
            most=most,
            algorithm=algorithm,
            nonce_lifetime=nonce_lifetime,
            asks="1" if algorithm else "0",
            asks_all="1" if asks_all else "0",
            password=PASSWORD,
            tls=self.ports["tls"],
            udp=self.ports["udp"],
        )
