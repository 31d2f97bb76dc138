"""Kamailio as the server of a domain: it proves the domain to everybody over TLS, and wants proof of everybody."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar

from tests.interop.peers.kamailio import Kamailio
from tests.interop.peers.kamailio_settings import head, seen, tls_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.interop.certificates import Leaf

__all__ = ["DomainKamailio"]

_FOLDERS = ("/usr/lib/x86_64-linux-gnu/kamailio/modules", "/usr/lib64/kamailio/modules", "/usr/lib/kamailio/modules")

_LASTING = "tcp_connection_lifetime=600\n"


class DomainKamailio(Kamailio):
    """One Kamailio that serves a domain: over mutual TLS, TCP and UDP.

    :cvar domain: which that is.
    :cvar module: a module that it needs, and that comes in a package of its own.
    """

    domain: ClassVar[str] = ""
    module: ClassVar[str] = ""

    @classmethod
    def missing(cls) -> str | None:
        """What is not installed, the module among it, or None."""
        program = super().missing()
        if program is not None or any(os.path.exists(f"{folder}/{cls.module}.so") for folder in _FOLDERS):
            return program
        return f"Kamailio's module {cls.module}"

    async def serve_with(
        self,
        configuration: str,
        certificate: Leaf,
        trust: str,
        *modules: str,
        first: Sequence[str] = (),
        **settings: object,
    ) -> None:
        """Start it.

        :param configuration: what stands in its configuration, with the places for ``head``, ``seen`` and *settings*.
        :param modules: which modules it needs; *first* are those that it needs before ``rr``.
        """
        beginning = head(self.directory, self._places, self.domain, *modules, first=first, core=_LASTING)
        text = configuration.format(
            head=beginning, seen=seen(), domain=self.domain, directory=self.directory, **settings
        )
        await self.run_with(text, tls_settings(certificate, trust, client_certificate=certificate))

    def proxy(self, transport: str = "tls") -> str:
        """How it is named as a proxy."""
        return f"{transport}:127.0.0.1:{self.ports[transport]}"
