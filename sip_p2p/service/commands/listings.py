"""What ``sip-p2p show`` can show as a table: where the API has it, and what stands in its columns."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["SHOWN", "Column", "Listing"]


class Column(NamedTuple):
    """One column: what stands above it, and what is taken from a row for it."""

    name: str
    value: Callable[[Mapping[str, Any]], object]
    style: Callable[[Mapping[str, Any]], str] = lambda _: ""


def _of(key: str) -> Callable[[Mapping[str, Any]], object]:
    return lambda row: row.get(key)


def _way(row: Mapping[str, Any]) -> object:
    return "from" if row.get("direction") == "in" else "to"


def _seconds(row: Mapping[str, Any]) -> object:
    return _duration(row.get("age"))


def _duration(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return ""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


def _expiry_style(row: Mapping[str, Any]) -> str:
    days = row.get("days_left")
    if not isinstance(days, int | float):
        return ""
    return "bold red" if days < 3 else "yellow" if days < 30 else "green"


def _proof_style(row: Mapping[str, Any]) -> str:
    return "green" if row.get("is_verified") else "yellow"


def _standing(row: Mapping[str, Any]) -> object:
    state = str(row.get("state", "")).replace("_", " ")
    return f"{state}, pending" if row.get("is_pending") else state


_GOOD = ("subscribed", "active", "stands", "registered", "delivered", "reported")
_BAD = ("failed", "expired", "terminated", "over")


def _standing_style(row: Mapping[str, Any]) -> str:
    state = row.get("state")
    if row.get("is_pending"):
        return "yellow"
    return "green" if state in _GOOD else "red" if state in _BAD else "yellow"


def _left(row: Mapping[str, Any]) -> object:
    return _duration(row.get("expires"))


def _why(row: Mapping[str, Any]) -> object:
    failure = row.get("failure")
    return row.get("reason") or (failure.get("words") if isinstance(failure, dict) else None)


def _answer(row: Mapping[str, Any]) -> str:
    response, failure = row.get("response"), row.get("failure")
    if isinstance(response, dict):
        return f"{response.get('status')} {response.get('reason')}"
    return str(failure.get("words", "")) if isinstance(failure, dict) else ""


class Listing(NamedTuple):
    """One thing to show: its path, the member of the answer that holds the rows, the columns, and the query."""

    path: str
    member: str
    columns: tuple[Column, ...]
    nothing: str
    query: Mapping[str, str] = MappingProxyType({})


SHOWN: dict[str, Listing] = {
    "flows": Listing(
        "/v1/flows",
        "flows",
        (
            Column("flow", _of("id")),
            Column("", _way),
            Column("peer", lambda row: row.get("peer") or "nobody proved", _proof_style),
            Column("address", _of("remote")),
            Column("over", lambda row: " ".join(filter(None, (row.get("transport"), row.get("tls_version"))))),
            Column("age", _seconds),
            Column("in", _of("messages_in")),
            Column("out", _of("messages_out")),
            Column("held", _of("leases")),
        ),
        "there are no flows",
    ),
    "sessions": Listing(
        "/v1/sessions",
        "sessions",
        (
            Column("session", _of("id")),
            Column("", _way),
            Column("remote", _of("remote")),
            Column("state", _of("state"), lambda row: "green" if row.get("state") == "connected" else ""),
            Column("began", _of("began")),
            Column("peer", _of("peer")),
            Column("Call-ID", _of("call_id")),
        ),
        "there are no sessions",
    ),
    "ended": Listing(
        "/v1/sessions",
        "sessions",
        (
            Column("session", _of("id")),
            Column("", _way),
            Column("remote", _of("remote")),
            Column("why", lambda row: row.get("reason", "").replace("_", " ")),
            Column("answer", _of("status")),
            Column("began", _of("began")),
            Column("ended", _of("changed")),
            Column("Call-ID", _of("call_id")),
        ),
        "no session has ended lately",
        {"state": "disconnected"},
    ),
    "identities": Listing(
        "/v1/identities",
        "peers",
        (Column("proved", _of("identity"), lambda _: "green"), Column("by the flows", _of("flows"))),
        "nobody has proved to be anybody",
    ),
    "certificates": Listing(
        "/v1/certificates",
        "certificates",
        (
            Column("certificate", _of("use")),
            Column("proves", lambda row: row.get("names") or row.get("subject")),
            Column("days left", _of("days_left"), _expiry_style),
            Column("until", _of("not_after")),
            Column("issued by", _of("issuer")),
        ),
        "there are no certificates: everything is in clear text",
    ),
    "failures": Listing(
        "/v1/failures",
        "failures",
        (
            Column("when", _of("time")),
            Column("peer", _of("peer")),
            Column("why", _of("words"), lambda _: "red"),
            Column("what to do", _of("remedy")),
        ),
        "no TLS connection has come to nothing",
    ),
    "subscriptions": Listing(
        "/v1/subscriptions",
        "subscriptions",
        (
            Column("subscription", _of("id")),
            Column("to", _of("to")),
            Column("event", _of("event")),
            Column("state", _standing, _standing_style),
            Column("for", _left),
            Column("told", _of("count")),
            Column("reason", _why),
        ),
        "we have subscribed to nothing",
    ),
    "subscribers": Listing(
        "/v1/subscribers",
        "subscribers",
        (
            Column("subscriber", _of("id")),
            Column("from", _of("from"), _proof_style),
            Column("event", _of("event")),
            Column("of", _of("resource")),
            Column("state", _of("state"), _standing_style),
            Column("for", _left),
            Column("peer", _of("peer")),
        ),
        "nobody has subscribed to anything of ours",
    ),
    "publications": Listing(
        "/v1/publications",
        "publications",
        (
            Column("publication", _of("id")),
            Column("event", _of("event")),
            Column("of", _of("to")),
            Column("state", _of("state"), _standing_style),
            Column("for", _left),
            Column("reason", _why),
        ),
        "we have published nothing",
    ),
    "referrals": Listing(
        "/v1/referrals",
        "referrals",
        (
            Column("referral", _of("id")),
            Column("", _way),
            Column("method", _of("method")),
            Column("target", _of("to")),
            Column("state", _of("state")),
            Column("status", _of("status")),
            Column("peer", _of("peer")),
        ),
        "there are no referrals",
    ),
    "registrations": Listing(
        "/v1/registrations",
        "registrations",
        (
            Column("registrar", _of("registrar")),
            Column("state", _standing, _standing_style),
            Column("for", _left),
            Column("flows", _of("flows")),
            Column("GRUU", _of("public_gruu")),
            Column("reason", _why),
        ),
        "we are registered nowhere",
    ),
    "outbox": Listing(
        "/v1/outbox",
        "messages",
        (
            Column("message", _of("id")),
            Column("to", _of("to")),
            Column("state", _of("state"), _standing_style),
            Column("attempts", _of("attempts")),
            Column("queued", _of("queued")),
            Column("due", _of("due")),
            Column("answer", _of("status")),
            Column("reason", _of("reason")),
        ),
        "the outbox is empty",
    ),
    "requests": Listing(
        "/v1/requests",
        "requests",
        (
            Column("request", _of("id")),
            Column("method", _of("method")),
            Column("to", _of("to")),
            Column("state", _of("state")),
            Column("answer", _answer, lambda row: "red" if row.get("state") == "failed" else ""),
        ),
        "the API has sent no requests",
    ),
}
"""What can be shown as a table, by its name."""
