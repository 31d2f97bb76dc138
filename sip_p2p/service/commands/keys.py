"""``sip-p2p pki DIR NAME...``: a private authority and the certificates of parties, with a word on what to do next.

Nothing is overwritten without ``--renew``: names are checked and existing files refused before anything is written.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from twisted.python import usage

from sip_p2p.observe.text import printable
from sip_p2p.pki import CertificateAuthority, subject_alternative_names
from sip_p2p.service.settings.command_line import CommandOptions
from sip_p2p.service.words import ExitCode
from sip_p2p.transport.trust.identity import is_ip_address, normalise_name

if TYPE_CHECKING:
    from typing import TextIO

__all__ = ["KeysOptions"]


class KeysOptions(CommandOptions):
    """The options of ``sip-p2p pki``."""

    synopsis = "Usage: sip-p2p pki [options] DIR NAME..."
    longdesc = (
        "Make certificates for parties: DIR/ca.pem is the authority, used again if it is there, and DIR/NAME.pem a "
        "P-256 certificate with its key for each NAME, a host, a SIP domain or an address; NAME,NAME,... is one "
        "certificate for several. Files with keys are for their owner only (0600), and none is overwritten without "
        "--renew."
    )
    optParameters: ClassVar = [["days", "d", "365", "for how many days the certificates are valid"]]
    optFlags: ClassVar = [["renew", None, "put new certificates, with new keys, in the place of those that are there"]]

    def parseArgs(self, *arguments: str) -> None:
        """Take the folder and the names."""
        if len(arguments) < 2:
            raise usage.UsageError("pki needs a folder and at least one name: sip-p2p pki keys a.example b.example")
        self.directory = Path(arguments[0])
        self.names = [[name for name in each.split(",") if name] for each in arguments[1:]]

    def postOptions(self) -> None:
        """Check the names and the days."""
        try:
            self.days = float(self["days"])
        except ValueError:
            self.days = 0.0
        if not 0 < self.days <= 3650:
            raise usage.UsageError(f"--days {printable(self['days'])} is not a number of days above 0 and up to 3650")
        for names in self.names:
            try:
                if not subject_alternative_names(*names):
                    raise ValueError("a name is empty")
            except ValueError as error:
                raise usage.UsageError(printable(str(error))) from None
        first = [names[0] for names in self.names]
        for name in first:
            if first.count(name) > 1:
                raise usage.UsageError(f"{printable(name)} is given twice")

    def begin(self, out: TextIO, err: TextIO) -> ExitCode:
        """Make the files; see :meth:`run`."""
        return self.run(out)

    def run(self, out: TextIO) -> ExitCode:
        """Make the files and say what they are for.

        :raises UsageError: when a file is there already or cannot be written.
        """
        there = (self.directory / "ca.pem").exists()
        try:
            wanted = [self.directory / f"{names[0]}.pem" for names in self.names]
            for path in wanted:
                if path.exists() and not self["renew"]:
                    raise usage.UsageError(f"{path} is there already, and is left alone: --renew replaces it")
            authority = CertificateAuthority.open(self.directory)
            issued = [
                authority.issue(*names, days=self.days).write(self.directory, replace=bool(self["renew"]))
                for names in self.names
            ]
        except (OSError, ValueError) as error:
            raise usage.UsageError(_words(error)) from None
        trust = self.directory / "ca.pem"
        print(
            f"{trust}: the authority{', as it was' if there else ''}. Give it to everybody who should trust it.",
            file=out,
        )
        print(
            f"{self.directory / 'ca-key.pem'}: its key. Keep it to yourself: it can vouch for any name.",
            file=out,
        )
        for names, path in zip(self.names, issued, strict=True):
            print(f"{path}: certificate and key of {', '.join(names)}, for that party only.", file=out)
        print("\nTo run the first of them, and to write to it from the last on this machine:\n", file=out)
        for line in self._examples(trust, issued):
            print(f"  {line}", file=out)
        return ExitCode.OK

    def _examples(self, trust: Path, issued: list[Path]) -> list[str]:
        # As a URI writes them, and proves them: names beyond ASCII as A-labels, IPv6 addresses in brackets.
        first, last = (normalise_name(names[0]) for names in (self.names[0], self.names[-1]))
        # Nobody has told DNS of a name that was made up a moment ago.
        where = "" if is_ip_address(first) or first == "localhost" else f"--resolve {first}=127.0.0.1:5061 "
        return [
            f"twistd -n sip-p2p --uri {_uri(first)} --certificate {shlex.quote(str(issued[0]))} "
            f"--trust {shlex.quote(str(trust))} --allow {shlex.quote(last)} --listen tls:port=5061",
            f"sip-p2p send --uri {_uri(last)} --certificate {shlex.quote(str(issued[-1]))} "
            f"--trust {shlex.quote(str(trust))} {where}{_uri(first)} hello",
        ]


def _uri(name: str) -> str:
    return shlex.quote(f"sip:me@[{name}]" if ":" in name else f"sip:me@{name}")


def _words(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{printable(str(error.filename))}: {printable(error.strerror or type(error).__name__)}"
    return printable(str(error))
