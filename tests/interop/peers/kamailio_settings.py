"""What every Kamailio's configuration begins with, and its TLS settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.interop.certificates import Leaf

__all__ = ["head", "seen", "tls_settings"]

_SEEN = r"""    xlog("L_NOTICE", "SEEN|$rm|$ru|$proto|$si|$sp|{name}|{verified}|$hdr(Route)|$(rb{{s.encode.hexa}})|\n");
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
"""
_HEAD = """#!KAMAILIO
debug=2
log_stderror=yes
children=1
tcp_children=1
auto_aliases=no
enable_tls=yes
dns_try_naptr=off
{core}{listen}
alias={alias}

{modules}
modparam("jsonrpcs", "transport", 4)
modparam("jsonrpcs", "dgram_socket", "{directory}/rpc")
modparam("jsonrpcs", "dgram_workers", 1)
modparam("tls", "config", "{directory}/tls.cfg")
"""

_MODULES = ("rr", "pv", "maxfwd", "textops", "siputils", "xlog", "tls")

_TLS = """[server:{name}]
{server_name}method = TLSv1.2+
verify_certificate = {mutual}
require_certificate = {mutual}
{own}ca_list = {trust}
{revoked}
"""

_TLS_OUTWARDS = """[client:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
{own}ca_list = {trust}

"""


def head(
    directory: str, listen: Sequence[str], alias: str, *modules: str, first: Sequence[str] = (), core: str = ""
) -> str:
    """The beginning, up to the parameters of modules that are the same for all.

    :param listen: where it listens, such as ``udp:127.0.0.1:5060``.
    :param modules: which modules it needs besides those that all need.
    :param first: which of them it needs before ``rr``.
    :param core: more settings of the core, a line each.
    """
    loaded = ("jsonrpcs", "tm", "sl", *first, *_MODULES, *modules)
    return _HEAD.format(
        core=core,
        listen="\n".join(f"listen={place}" for place in listen),
        alias=alias,
        modules="".join(f'loadmodule "{name}.so"\n' for name in loaded),
        directory=directory,
    )


def seen(name: str = "", verified: str = "") -> str:
    """How a script begins: it says what came, and stops what goes round in circles.

    :param name: the variable that holds the name in the sender's certificate, if any does.
    :param verified: the variable that holds the verdict about it.
    """
    return _SEEN.format(name=name, verified=verified)


def tls_settings(
    certificate: Leaf,
    trust: str,
    *,
    mutual: bool = True,
    client_certificate: Leaf | None = None,
    names: Mapping[str, Leaf] | None = None,
    revoked: str = "",
) -> str:
    """The TLS settings; what they mean stands at :meth:`tests.interop.peers.kamailio.Kamailio.start`."""
    words = {"mutual": "yes" if mutual else "no", "trust": trust}
    crl = f"crl = {revoked}\n" if revoked else ""
    settings = _TLS.format(name="default", server_name="", own=_own(certificate), revoked=crl, **words)
    settings += _TLS_OUTWARDS.format(own="" if client_certificate is None else _own(client_certificate), trust=trust)
    for name, leaf in (names or {}).items():
        settings += _TLS.format(name="any", server_name=f"server_name = {name}\n", own=_own(leaf), revoked="", **words)
    return settings


def _own(leaf: Leaf) -> str:
    return f"certificate = {leaf.certificate}\nprivate_key = {leaf.key}\n"
