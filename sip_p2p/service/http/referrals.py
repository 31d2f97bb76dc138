"""Referrals: REFERs that the API sends, those of peers that wait for its decision (``--application control``), and
transfers of sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sip_p2p.endpoint.transfer.incoming_referral import IncomingReferral
from sip_p2p.endpoint.transfer.referral import Referral
from sip_p2p.service.http import descriptions
from sip_p2p.service.http.books import page_of, stands
from sip_p2p.service.http.messages import sent
from sip_p2p.service.http.problems import Problem
from sip_p2p.service.http.routes import Answer
from sip_p2p.service.silence import Silence

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from sip_p2p.endpoint.transfer.referring import ReferArguments
    from sip_p2p.service.http.routes import Call
    from sip_p2p.service.http.server import ControlServer
    from sip_p2p.service.lives.entries import ReferralEntry

__all__ = [
    "accept_referral",
    "create_referral",
    "decline_referral",
    "end_referral",
    "referral",
    "referrals",
    "transfer_session",
]


def referrals(server: ControlServer, call: Call) -> Answer:
    """Those under way, the newest first; those that are over only where they are asked for."""
    book, is_over = server.service.ledger.referrals, call.query.get("is_over", False)
    return page_of(book, "referrals", call, "direction", is_over=is_over)


def referral(server: ControlServer, call: Call) -> Answer:
    """One of them."""
    return Answer(server.service.ledger.referrals.find(call.parameters["id"]).as_json())


async def create_referral(server: ControlServer, call: Call) -> Answer:
    """Ask a peer, outside of a session, to make a request; and perhaps wait for its answer to that."""
    server.check_running()
    given: dict[str, Any] = call.body
    book = server.service.ledger.referrals

    def begin() -> ReferralEntry:
        arguments: ReferArguments = {"headers": descriptions.fields_of(given)}
        if "method" in given:
            arguments["method"] = given["method"]
        if "subscription" in given:
            arguments["subscription"] = given["subscription"]
        referring = server.service.endpoint.refer(given["peer"], given["to"], **arguments)
        entry = book.newest()
        referring.addErrback(entry.fail).addBoth(lambda _: entry.settle())
        return entry

    entry = server.keys_of_lives.once(call, begin)
    applied = await stands(server, call, entry)
    return Answer(entry.as_json(), 201, headers=[("Location", f"/v1/referrals/{entry.key}"), *applied])


def end_referral(server: ControlServer, call: Call) -> Answer:
    """Hear no more of it; one of a peer's that waits is declined."""
    life = server.service.ledger.referrals.find(call.parameters["id"]).life
    if isinstance(life, Referral):
        life.stop()
    elif isinstance(life, IncomingReferral):
        if life.is_decided:
            life.end()
            server.service.manager.driver.drain()
        else:
            life.decline()
    return Answer(None, 204)


def _incoming(server: ControlServer, call: Call) -> tuple[ReferralEntry, IncomingReferral]:
    server.check_running()
    entry = server.service.ledger.referrals.living(call.parameters["id"])
    if not isinstance(entry.life, IncomingReferral):
        raise Problem("conflict", "The referral is our own: the peer decides about it.", retryable=False)
    return entry, entry.life


def accept_referral(server: ControlServer, call: Call) -> Answer:
    """Do what a peer asks for: the session that comes of it is one as others."""
    entry, life = _incoming(server, call)
    given = call.body or {}
    offer: Any = descriptions.described_offer(given)
    if offer is None and life.method == "INVITE":
        # Over the API nobody could answer an offer that comes with the 200.
        offer = Silence()
    life.accept(offer=offer, headers=descriptions.fields_of(given))
    return Answer(entry.as_json())


def decline_referral(server: ControlServer, call: Call) -> Answer:
    """Do not do it."""
    entry, life = _incoming(server, call)
    given = call.body or {}
    life.decline(int(given.get("status", 603)), given.get("reason"), headers=descriptions.fields_of(given))
    return Answer(entry.as_json())


async def transfer_session(server: ControlServer, call: Call) -> Answer:
    """Have the peer of a session talk to somebody else: to an address, or to the peer of another session."""
    server.check_running()
    given: dict[str, Any] = call.body
    if ("to" in given) == ("session" in given):
        raise Problem("invalid-content", "Give to, for a blind transfer, or session, for an attended one.")
    session = server.sessions.living(call.parameters["id"])
    arguments: ReferArguments = {"headers": descriptions.fields_of(given)}
    if "session" in given:
        other = server.sessions.living(given["session"])
        to = str(server.sessions.entry_of(other).as_json().get("remote", ""))

        def start() -> Deferred[Any]:
            return session.transfer_to(other, **arguments)

    else:
        to = given["to"]

        def start() -> Deferred[Any]:
            return session.transfer(to, **arguments)

    requests = server.requests
    made = requests.keys.once(call, lambda: requests.begin("REFER", to, start, session.number))
    return await sent(server, call, made)
