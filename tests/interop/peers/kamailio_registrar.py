"""Kamailio as the server of a domain: registrar, digest authentication, and proxy to whom it has registered."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.interop.peers.kamailio import Kamailio

if TYPE_CHECKING:
    from tests.interop.certificates import Leaf

__all__ = ["DOMAIN", "PASSWORD", "KamailioRegistrar", "find_module", "tls_of_domain"]

DOMAIN = "kamailio.example"
"""The domain that it serves, and what its certificate proves."""

PASSWORD = "a secret of tests"
"""The password of everybody."""

_MODULES = ("/usr/lib/x86_64-linux-gnu/kamailio/modules", "/usr/lib64/kamailio/modules", "/usr/lib/kamailio/modules")

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
loadmodule "stun.so"
loadmodule "outbound.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "path.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
loadmodule "tls.so"

modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "dgram_socket", "{directory}/rpc")
modparam("jsonrpcs", "dgram_workers", 1)
modparam("tls", "config", "{directory}/tls.cfg")
modparam("usrloc", "db_mode", 0)
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
    xlog("L_NOTICE", "SEEN|$rm|$ru|$proto|$si|$sp|||$hdr(Route)|$(rb{{s.encode.hexa}})|\\n");
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    if (is_method("REGISTER") && proto != UDP) {{
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

_TLS = """[server:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
certificate = {certificate}
private_key = {key}
ca_list = {trust}

[client:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
certificate = {certificate}
private_key = {key}
ca_list = {trust}
"""


def find_module(name: str) -> bool:
    """Whether Kamailio has this module."""
    return any(os.path.exists(os.path.join(folder, f"{name}.so")) for folder in _MODULES)


def tls_of_domain(certificate: Leaf, trust: str) -> str:
    """The TLS settings of a server that proves its domain to everybody, and wants proof of everybody."""
    return _TLS.format(certificate=certificate.certificate, key=certificate.key, trust=trust)


class KamailioRegistrar(Kamailio):
    """One Kamailio that serves :data:`DOMAIN`: over mutual TLS, TCP and UDP."""

    packages = "kamailio kamailio-tls-modules kamailio-extra-modules kamailio-outbound-modules"

    @classmethod
    def missing(cls) -> str | None:
        """The module of RFC 5626 comes in a package of its own."""
        program = super().missing()
        if program is not None or find_module("outbound"):
            return program
        return "Kamailio's module outbound"

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
        listen = "\n".join(f"listen={name}:{self.host}:{port}" for name, port in self.ports.items())
        self.write_files(
            {
                "kamailio.cfg": _CONFIGURATION.format(
                    listen=listen,
                    domain=DOMAIN,
                    directory=self.directory,
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
                ),
                "tls.cfg": tls_of_domain(certificate, trust),
            }
        )
        arguments = ("-f", f"{self.directory}/kamailio.cfg", "-DD", "-E", "-Y", self.directory, "-w", self.directory)
        program = self.launch("kamailio", *arguments, "-m", "32", "-M", "4")
        await program.bound(*self.ports.items())

    def proxy(self, transport: str = "tls") -> str:
        """How it is named as a proxy."""
        return f"{transport}:127.0.0.1:{self.ports[transport]}"
