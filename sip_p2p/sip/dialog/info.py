"""INFO and its packages (RFC 6086): which an INFO belongs to, and whether we take it. Their names are compared octet by
octet (section 7.2).

An INFO without Info-Package is of the time before packages (RFC 2976), and the application's to judge. Left out: what a
package means, and at what rate its INFOs may come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.fields import parse_tokens, split_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sip_p2p.sip.message import Request

__all__ = ["check_package", "info_status", "package_of", "packages_of"]


def package_of(request: Request) -> str:
    """The Info Package that *request*, an INFO, belongs to; empty for one of RFC 2976.

    :raises MalformedMessage: when Info-Package is no token, or stands more than once (400).
    """
    values = request.headers.get_all("Info-Package")
    if not values:
        return ""
    if len(values) > 1:
        raise MalformedMessage("Info-Package stands more than once (RFC 6086 section 4.2.1)")
    return _name_of(values[0])


def _name_of(value: str) -> str:
    # Section 9.2: the name, and parameters that are the package's own business.
    names = parse_tokens(value.partition(";")[0], "Info-Package")
    if len(names) != 1:
        raise MalformedMessage("Info-Package names one package (RFC 6086 section 4.2.1)")
    return names[0]


def packages_of(values: Iterable[str]) -> frozenset[str]:
    """The packages that Recv-Info fields with these values list.

    :raises MalformedMessage: when one cannot be read (400).
    """
    # Section 9.2: names and their parameters, which are no business of ours.
    names = ",".join(element.partition(";")[0] for value in values for element in split_values(value))
    return frozenset(parse_tokens(names, "Recv-Info"))


def info_status(request: Request, packages: Iterable[str]) -> int:
    """Judge an INFO by what we said to take (section 4.2.2).

    :param packages: the names that our Recv-Info lists.
    :returns: 0 where the application is to answer it; 469 for a package that we did not list; 400 where it cannot be
        read.
    """
    try:
        package = package_of(request)
    except MalformedMessage:
        return 400
    if package and package not in packages:
        return 469
    return 0


def check_package(fields: Sequence[tuple[str, str]], packages: frozenset[str] | None) -> None:
    """See that an INFO of ours may be sent (section 4.2.1).

    :param fields: the header fields that it is to have.
    :param packages: what the peer's Recv-Info lists; None where it has sent none.
    :raises InvalidOperation: when it belongs to a package that the peer has not said to take.
    :raises ValueError: when its Info-Package is no token, or stands more than once, or a Recv-Info is among them.
    """
    names = [name.lower() for name, _ in fields]
    if names.count("info-package") > 1 or "recv-info" in names:
        raise ValueError("an INFO belongs to one package, and says nothing of others (RFC 6086 section 4.2.1)")
    for name, value in fields:
        if name.lower() != "info-package":
            continue
        try:
            package = _name_of(value)
        except MalformedMessage as error:
            raise ValueError(str(error)) from None
        if packages is None or package not in packages:
            raise InvalidOperation(f"the peer takes no INFO of the package {package} (RFC 6086 section 4.2.1)")
