"""The servers that one request may be sent to, one after the other (RFC 3263 section 4.3).

The next one is tried when a server cannot be connected to, does not prove its name, does not answer in time or answers
503; any other final response is an answer. Every server is held to the same name, so that trying another never means
trusting another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from sip_p2p.errors import ConnectionFailure, TlsFailure, TlsFailureReason
from sip_p2p.transport.dns.records import is_address
from sip_p2p.transport.target import Target, Transport, race_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sip_p2p.transport.dns.dead_targets import DeadTargets
    from sip_p2p.transport.dns.family import AddressFamilyHint
    from sip_p2p.transport.flow import LiveFlow

__all__ = ["Candidates", "may_fail_over"]

_OURS = frozenset(
    (
        TlsFailureReason.LOCAL_CERTIFICATE_NOT_FOUND,
        TlsFailureReason.LOCAL_CERTIFICATE_EXPIRED,
        TlsFailureReason.AUTHORIZATION_DENIED,
        TlsFailureReason.KEY_NOT_REMEMBERED,
    )
)
"""Failures that no other server would change."""


def may_fail_over(error: BaseException | None) -> bool:
    """Whether another server may help where *error* came about."""
    return isinstance(error, ConnectionFailure) and not (isinstance(error, TlsFailure) and error.reason in _OURS)


@final
class Candidates:
    """What is left to try for one request.

    Where a server has several addresses, they are tried together over a stream, and one by one over UDP.

    :ivar is_elsewhere: whether the flow that is there will not do, so that it must not be found again.
    """

    __slots__ = (
        "_asked",
        "_attempts",
        "_current",
        "_dead",
        "_family",
        "_groups",
        "_hit",
        "_tried",
        "_until",
        "is_elsewhere",
    )

    def __init__(
        self,
        asked: Target,
        family: AddressFamilyHint,
        dead: DeadTargets,
        attempts: int,
        until: float,
        hit: Callable[[str], object] | None = None,
    ) -> None:
        """
        :param family: the addresses that may be used, and which come first.
        :param attempts: as many servers are tried.
        :param until: after this time no further one is.
        :param hit: told the name of a limit that was reached.
        """
        self._asked = asked
        self._family = family
        self._dead = dead
        self._attempts = attempts
        self._until = until
        self._hit = hit
        self._current: list[Target] = []
        self._groups: list[list[Target]] | None = None
        self._tried: list[Target] = []
        self.is_elsewhere = False

    @property
    def are_located(self) -> bool:
        """Whether it is known which servers there are."""
        return self._groups is not None

    def using(self, flow: LiveFlow) -> None:
        """A flow that was there carries the request: its server is the first one."""
        self._attempts -= 1
        self._current = [self._asked.at(flow.remote_host, flow.remote_port or None)]
        self._tried += self._current

    def located(self, targets: Iterable[Target]) -> None:
        """The servers are known; those that failed a short while ago come last.

        :raises ConnectionFailure: when none of them may be used.
        """
        asked = self._asked
        groups: list[list[Target]] = []
        refused = ""
        for group in race_groups(targets):
            if group[0].name != asked.name or (asked.transport.is_secure and not group[0].transport.is_secure):
                # Whatever a resolver says: no other name, and nothing less than TLS (RFC 5630).
                refused = f"{group[0]!r} is not what {asked!r} may lead to"
                continue
            usable = self._of_family(group)
            if not usable:
                refused = f"no address of {asked.host} is of the family {self._family.value}"
            elif group[0].transport is Transport.UDP:
                groups += [[target] for target in usable]
            else:
                groups.append(usable)
        if not groups:
            raise ConnectionFailure(refused or f"there is no address for {asked.host}")
        dead = self._dead
        self._groups = [dead.sort(group) for group in groups if not self._was_tried(group)]
        if len(dead):
            self._groups.sort(key=lambda group: dead.left(group[0]) > 0)

    def _of_family(self, group: list[Target]) -> list[Target]:
        by_host = {target.host: target for target in group if is_address(target.host)}
        if len(by_host) < len(group):
            # Names that whoever makes the connection will look up.
            return group
        return [by_host[host] for host in self._family.order(by_host)]

    def _was_tried(self, group: list[Target]) -> bool:
        """Whether a server is the one whose flow was there; one known by name alone may always be."""
        if not self._tried:
            return False
        hosts = {(each.transport, each.host) for each in self._tried}
        return any((each.transport, each.host) in hosts or not is_address(each.host) for each in group)

    def next(self, now: float) -> list[Target] | None:
        """The addresses of the next server; None when there is none, or enough has been tried."""
        if not self._groups:
            return None
        is_late = bool(self._current) and now > self._until
        if is_late or self._attempts <= 0:
            if self._hit is not None:
                self._hit("failover_timeout" if is_late else "failover_attempts")
            return None
        self._attempts -= 1
        self._current = self._groups.pop(0)
        return self._current

    def failed(self, retry_after: float | None = None) -> None:
        """The server that was tried last did not serve.

        :param retry_after: for how many seconds it wants to be left alone; by default as the table of the dead says.
        """
        self.is_elsewhere = True
        for target in self._current:
            self._dead.failed(target, retry_after)

    def served(self) -> None:
        """The server that was tried last serves."""
        for target in self._current:
            self._dead.succeeded(target)
