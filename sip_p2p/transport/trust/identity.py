"""Who a certificate proves its owner to be, and whether that party is welcome.

RFC 5922 section 7 (SIP domain identities), RFC 9525 (no common name), RFC 5280 section 4.2.1.6 (alternative names),
RFC 5890 (A-labels). The rules, all of them on the refusing side in doubt:

* an identity is a ``URI`` entry of the form ``sip:domain``: no user, no port, no parameters; ``sips:`` is none;
* only where a certificate has no such entry, its ``DNS`` entries count, each for exactly itself;
* a wildcard is never an identity, and the subject's common name is never read;
* an IP address is proved by an ``IP`` entry and by nothing else;
* a control character or one beyond ASCII in a name makes the whole certificate unusable: names like
  ``good.example\\0.evil.example`` exist to be misread.

Pure: no input or output, no Twisted, no clock. Whether the chain leads to a trusted root is :mod:`.tls.settings`'s
concern, and which name to expect is the caller's: the domain that the user dialled, not what DNS made of it (RFC 5922
section 4).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import final

import idna
from cryptography import x509

from sip_p2p.sip.host import normalise_host

__all__ = ["PeerIdentities", "TrustPolicy", "is_ip_address", "normalise_name"]

_SCHEME = "sip:"


def normalise_name(name: str) -> str:
    """The one spelling of a host name or IP address under which names are compared.

    Host names in small letters, without a final dot, U-labels turned into A-labels (RFC 5891, mapped as UTS 46 does);
    IPv6 addresses without brackets, as RFC 5952 writes them.

    :raises ValueError: the text is neither, and says so.
    """
    text = name
    if not name.isascii():
        try:
            text = idna.encode(name, uts46=True).decode("ascii")
        except idna.IDNAError as error:
            raise ValueError(f"{name[:64]!r} is not a host name: {error}") from None
    elif ":" in name and not name.startswith("["):
        text = f"[{name}]"
    try:
        host = normalise_host(text)
    except ValueError:
        raise ValueError(f"{name[:64]!r} is neither a host name nor an IP address") from None
    return host.removesuffix(".")


def is_ip_address(normalised: str) -> bool:
    """Whether a name in the form of :func:`normalise_name` is an IP address."""
    return ":" in normalised or normalised.rpartition(".")[2].isdigit()


@final
class PeerIdentities:
    """The identities that one certificate proves.

    :ivar domains: the SIP domains, as in the certificate's order, each once.
    :ivar addresses: the IP addresses, likewise.
    """

    __slots__ = ("addresses", "domains")

    def __init__(self, domains: Iterable[str] = (), addresses: Iterable[str] = ()) -> None:
        """Take names that are in normal form already; :meth:`from_certificate` is the usual way in."""
        self.domains: tuple[str, ...] = tuple(dict.fromkeys(domains))
        self.addresses: tuple[str, ...] = tuple(dict.fromkeys(addresses))

    @classmethod
    def from_certificate(cls, certificate: x509.Certificate) -> PeerIdentities:
        """Read the identities of *certificate*; none at all is a possible, and never a trusted, outcome.

        :raises ValueError: the alternative names are malformed, or one holds a control or non-ASCII character.
        """
        uris, hosts, addresses = _names_of(certificate)
        # RFC 5922 section 7.1: DNS entries count only where no URI entry is an identity.
        domains = [uri for uri in map(_sip_domain, uris) if uri] or [host for host in map(_domain, hosts) if host]
        return cls(domains, addresses)

    @classmethod
    def hosts_from_certificate(cls, certificate: x509.Certificate) -> PeerIdentities:
        """The names under which *certificate* serves what is no SIP, such as HTTPS (RFC 9110 section 4.3.4).

        ``DNS`` entries, each for exactly itself, and ``IP`` entries. A SIP domain is none of them: who may take calls
        for a domain may not answer for its web site.

        :raises ValueError: as :meth:`from_certificate`.
        """
        _, hosts, addresses = _names_of(certificate)
        return cls([host for host in map(_domain, hosts) if host], addresses)

    @classmethod
    def of_names(cls, names: Iterable[str]) -> PeerIdentities:
        """The identities of a party that is known by *names*, each in normal form, and not by its certificate's."""
        listed = tuple(names)
        return cls(
            (name for name in listed if not is_ip_address(name)), (name for name in listed if is_ip_address(name))
        )

    @property
    def identities(self) -> tuple[str, ...]:
        """Every identity: the domains first, then the addresses."""
        return self.domains + self.addresses

    @property
    def key(self) -> str:
        """A key that two certificates share exactly if they prove the same domains (without any: the same addresses).

        Meant for :attr:`sip_p2p.sip.flow.Flow.peer`. Addresses beside domains do not enter it: the hosts of one domain
        are one party. The empty string if nothing is proved.
        """
        return " ".join(sorted(self.domains or self.addresses))

    def matches(self, expected: str) -> str | None:
        """The identity that equals *expected*, or None.

        Host names are compared whole and without regard to case (RFC 5922 section 7.2: no wildcards, no suffixes), IP
        addresses only with IP addresses. A text that is no name matches nothing.
        """
        try:
            name = normalise_name(expected)
        except ValueError:
            return None
        return name if name in (self.addresses if is_ip_address(name) else self.domains) else None

    def __bool__(self) -> bool:
        return bool(self.domains or self.addresses)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PeerIdentities):
            return NotImplemented
        return self.domains == other.domains and self.addresses == other.addresses

    def __hash__(self) -> int:
        return hash((self.domains, self.addresses))

    def __repr__(self) -> str:
        return f"PeerIdentities({list(self.domains)}, {list(self.addresses)})"


@final
class TrustPolicy:
    """Which of the parties that have proved an identity may talk to us.

    A host is allowed exactly as it stands. A domain, written with a leading dot, allows every name *below* it, compared
    label by label: ``.example.com`` allows ``a.example.com`` and ``b.a.example.com``, and neither ``example.com`` nor
    ``badexample.com``. (That is authorisation; the identity that is compared stays an exact one, RFC 5922 section 7.2.)

    ``TrustPolicy()`` allows ``localhost`` alone. With an empty list of hosts it allows nobody; to allow everybody whose
    certificate comes from a trusted root there is :meth:`any_authenticated`, and no other way. Policies never change.

    What :meth:`excluding` takes out stays out, whatever else is allowed.

    :ivar hosts: the names and addresses that are allowed as they stand, in normal form.
    :ivar domains: the suffixes, in normal form, with their leading dot.
    :ivar excluded: the names, and suffixes with their leading dot, of which no peer is allowed.
    """

    __slots__ = ("_any", "domains", "excluded", "hosts")

    def __init__(self, hosts: Iterable[str] | None = None, domains: Iterable[str] | None = None) -> None:
        """
        :param hosts: host names, SIP domains or IP addresses.
        :param domains: suffixes with a leading dot.
        :raises ValueError: an entry is not what it should be; the message quotes it.
        """
        if hosts is None:
            # Whoever names a domain has said whom to trust, and means nobody else.
            hosts = ("localhost",) if domains is None else ()
        for given in (hosts, domains):
            if isinstance(given, str):
                raise TypeError(f"expected a list of names, not one string: [{given!r}]")
        self.hosts: frozenset[str] = frozenset(_allowed_host(host) for host in hosts)
        self.domains: frozenset[str] = frozenset(_allowed_suffix(domain) for domain in domains or ())
        self.excluded: frozenset[str] = frozenset()
        self._any = False

    @classmethod
    def any_authenticated(cls) -> TrustPolicy:
        """Allow everybody whose certificate chains to a trusted root and proves an identity, whichever it is."""
        policy = cls(())
        policy._any = True
        return policy

    @classmethod
    def parse(cls, entries: str | Iterable[str]) -> TrustPolicy:
        """A policy from its written form: names, and suffixes with a leading dot.

        :param entries: a list, or one string with commas between the entries.
        :raises ValueError: an entry is neither; the message quotes it and says what is possible.
        """
        listed = entries.split(",") if isinstance(entries, str) else list(entries)
        hosts: list[str] = []
        domains: list[str] = []
        for entry in filter(None, (each.strip() for each in listed)):
            (domains if entry.startswith(".") else hosts).append(entry)
        return cls(hosts, domains)

    def including(self, host: str) -> TrustPolicy:
        """This policy with one more host.

        :raises ValueError: *host* is not a name.
        """
        policy = TrustPolicy((*self.hosts, host), self.domains)
        policy._any = self._any
        policy.excluded = self.excluded
        return policy

    def excluding(self, name: str) -> TrustPolicy:
        """This policy without *name*, a host or domain, or with a leading dot all names below one (row D10).

        A peer that proves an excluded name is not allowed for the sake of its other names either.

        :raises ValueError: *name* is neither.
        """
        entry = _allowed_suffix(name) if name.startswith(".") else _allowed_host(name)
        policy = TrustPolicy(self.hosts - {entry}, self.domains - {entry})
        policy._any = self._any
        policy.excluded = self.excluded | {entry}
        return policy

    def excludes(self, identities: PeerIdentities) -> str | None:
        """The first of *identities* that was taken out, or None."""
        if not self.excluded:
            return None
        for name in identities.identities:
            if name in self.excluded or _is_below(name, self.excluded):
                return name
        return None

    @property
    def allows_any(self) -> bool:
        """Whether this is :meth:`any_authenticated`."""
        return self._any

    def allows(self, identities: PeerIdentities) -> str | None:
        """The first of *identities* that is allowed, or None if none is, or if one is excluded."""
        if self.excludes(identities) is not None:
            return None
        for name in identities.domains:
            if self._any or name in self.hosts or _is_below(name, self.domains):
                return name
        for name in identities.addresses:
            if self._any or name in self.hosts:
                return name
        return None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TrustPolicy):
            return NotImplemented
        return self._parts == other._parts

    def __hash__(self) -> int:
        return hash(self._parts)

    @property
    def _parts(self) -> tuple[frozenset[str], frozenset[str], frozenset[str], bool]:
        return (self.hosts, self.domains, self.excluded, self._any)

    def __str__(self) -> str:
        allowed = ", ".join((*sorted(self.hosts), *sorted(self.domains))) or "nobody"
        if self._any:
            allowed = "any authenticated peer"
        return f"{allowed}, but not {', '.join(sorted(self.excluded))}" if self.excluded else allowed

    def __repr__(self) -> str:
        return f"<TrustPolicy: {self}>"


def _is_below(name: str, suffixes: frozenset[str]) -> bool:
    """Whether *name* is below one of *suffixes*, which have their leading dot; compared label by label."""
    if not suffixes or is_ip_address(name):
        return False
    labels = name.split(".")
    return any("." + ".".join(labels[start:]) in suffixes for start in range(1, len(labels)))


def _names_of(certificate: x509.Certificate) -> tuple[list[str], list[str], list[str]]:
    """The URI and DNS entries of *certificate* as they stand, and its addresses in normal form; none without names.

    :raises ValueError: the alternative names are malformed, or one holds a control or non-ASCII character.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [], [], []
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError(f"the certificate's alternative names cannot be read: {error}") from error
    uris = [_checked(name) for name in names.get_values_for_type(x509.UniformResourceIdentifier)]
    hosts = [_checked(name) for name in names.get_values_for_type(x509.DNSName)]
    addresses = [
        normalise_name(str(address))
        for address in names.get_values_for_type(x509.IPAddress)
        # Entries of twice the length are networks, which only name constraints may hold.
        if isinstance(address, (ipaddress.IPv4Address, ipaddress.IPv6Address))
    ]
    return uris, hosts, addresses


def _checked(name: str) -> str:
    if not name.isascii() or not name.isprintable():
        raise ValueError(f"the certificate holds a name with a forbidden character: {name[:64]!r}")
    return name


def _sip_domain(uri: str) -> str:
    # The scheme is compared without regard to case (RFC 3986 section 3.1); "sips:" differs before the colon.
    return _domain(uri[len(_SCHEME) :]) if uri[: len(_SCHEME)].lower() == _SCHEME else ""


def _domain(text: str) -> str:
    """The domain that *text* is, in normal form; empty for a wildcard, an address, or what has a user or a port."""
    if text.startswith("[") or text.endswith("."):
        return ""
    try:
        host = normalise_host(text)
    except ValueError:
        return ""
    return "" if is_ip_address(host) else host


def _allowed_host(entry: str) -> str:
    if entry.startswith("."):
        raise ValueError(f"{entry!r} has a leading dot: it is a domain, not a host")
    if "*" in entry:
        raise ValueError(
            f"{entry!r}: wildcards are not for identities; write '.example.com' for all names below example.com, "
            "or use TrustPolicy.any_authenticated()"
        )
    try:
        return normalise_name(entry)
    except ValueError as error:
        raise ValueError(f"cannot allow a peer under this name: {error}") from None


def _allowed_suffix(entry: str) -> str:
    if not entry.startswith("."):
        raise ValueError(f"{entry!r} lacks its leading dot: '.{entry}' allows the names below it, a host only itself")
    name = _allowed_host(entry[1:])
    if is_ip_address(name):
        raise ValueError(f"{entry!r} is an address: there is nothing below it to allow")
    return f".{name}"
