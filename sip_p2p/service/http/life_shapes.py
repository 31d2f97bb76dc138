"""What the objects of the API look like that live on beside sessions: subscriptions, publications, referrals,
registrations, and the messages of the outbox."""

from __future__ import annotations

from typing import Any

from sip_p2p.service.http.shape_parts import (
    CONTENT,
    FIELDS,
    NUMBER,
    OFFER,
    PEER,
    TEXTS,
    TO,
    TRUTH,
    ref,
    shape,
    text,
)

__all__ = ["LIFE_SHAPES"]

_EVENT = text("the event package, with its parameters if it has any: presence, dialog, message-summary", most=256)
_EXPIRES = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1, "description": "for how many seconds"}
_LEFT = {**NUMBER, "description": "the seconds that are left"}
_CLAIM = text("who it is, as the peer says")
_TIMES = {"began": text(), "changed": text("when its state became what it is"), "failure": ref("Failure")}
_CHOSEN = {"type": "string", "enum": ["open", "closed"], "description": "whether one can be reached; open without it"}


def _state(*names: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(names)}


SUBSCRIPTION_STATE = _state("idle", "subscribing", "subscribed", "waiting_for_retry", "terminating", "terminated")
SUBSCRIBER_STATE = _state("waiting", "pending", "active", "ending", "terminated")
PUBLICATION_STATE = _state("idle", "asking", "stands", "waiting", "removing", "over")
OUTBOX_STATE = _state("queued", "sending", "delivered", "reported", "failed", "expired")

_SUBSCRIPTION = {
    "id": text("its number, which events have as subscription"),
    "to": text("whose state it is for"),
    "event": text(),
    "state": SUBSCRIPTION_STATE,
    "is_pending": {**TRUTH, "description": "whether the notifier has not decided yet what it may know"},
    "reason": text("the reason that the notifier gave last for an end"),
    "expires": _LEFT,
    "count": {**NUMBER, "description": "how many notifications have come"},
    **PEER,
    "flow": text(),
    **_TIMES,
}

LIFE_SHAPES: dict[str, dict[str, Any]] = {
    "Notification": shape(
        "time state",
        {
            "time": text("when it came"),
            "state": text("how the subscription stands by it: active, pending or terminated"),
            "reason": text("why it has ended"),
            "content_type": text(),
            "text": text(),
            "body_base64": text(),
        },
        "What a notifier has said; a body that is very long is left out.",
    ),
    "Subscription": shape("id to event state is_pending began changed count", _SUBSCRIPTION, "A subscription of ours."),
    "FullSubscription": shape(
        "id to event state is_pending began changed count notifications",
        {**_SUBSCRIPTION, "notifications": {"type": "array", "items": ref("Notification")}},
        "A subscription of ours, with the last notifications, the newest first.",
    ),
    "NewSubscription": shape(
        "to event",
        {
            "to": TO,
            "event": {**_EVENT, "minLength": 1},
            "accept": text("the media types that notifications may have, as Accept lists them", most=1024, least=1),
            "expires": {**_EXPIRES, "minimum": 0, "description": "for how many seconds; 0 asks for the state once"},
            "retry": {
                "type": "string",
                "enum": ["established", "always", "never"],
                "description": "when it is begun anew after its end: once it has stood, also when it has not, never",
            },
            **CONTENT,
            "headers": FIELDS,
            "from": text(most=2048),
        },
        "A subscription to begin.",
        is_closed=True,
    ),
    "Refresh": shape("", dict(CONTENT), "A SUBSCRIBE to send now, perhaps with another filter.", is_closed=True),
    "Subscriber": shape(
        "id event resource from is_verified state expires began changed",
        {
            "id": text("its number, which events have as subscriber"),
            "event": text(),
            "resource": text("the name of what was subscribed to"),
            "from": _CLAIM,
            "is_verified": {**TRUTH, "description": "whether it has proved who it is"},
            "state": SUBSCRIBER_STATE,
            "expires": _LEFT,
            "reason": text("why it has ended"),
            **PEER,
            "flow": text(),
            **_TIMES,
        },
        "A peer's subscription to an event of ours.",
    ),
    "Publication": shape(
        "id event to state expires began changed",
        {
            "id": text("its number, which events have as publication"),
            "event": text(),
            "to": text("whose state it is"),
            "state": PUBLICATION_STATE,
            "expires": _LEFT,
            **_TIMES,
        },
        "Something that a server keeps for us, and tells others.",
    ),
    "NewPublication": shape(
        "event",
        {
            "event": {**_EVENT, "minLength": 1},
            "to": {**TO, "description": "whose state it is; ourselves without it"},
            "expires": _EXPIRES,
            **CONTENT,
            "headers": FIELDS,
        },
        "Something to publish.",
        is_closed=True,
    ),
    "ChangedPublication": shape("", dict(CONTENT), "What is to be published in its place.", is_closed=True),
    "Presence": shape(
        "status watchers",
        {
            "status": _state("open", "closed", "unknown"),
            "activities": {**TEXTS, "description": "what we do, as RFC 4480 names it"},
            "notes": TEXTS,
            "watchers": {**NUMBER, "description": "how many have subscribed"},
            "content_type": text(),
            "text": text("the document that they are told"),
            "body_base64": text(),
        },
        "What those are told who subscribe to our presence.",
    ),
    "NewPresence": shape(
        "",
        {
            "status": _CHOSEN,
            "activities": {
                "type": "array",
                "maxItems": 16,
                "items": {"type": "string", "pattern": "^[a-z][a-z-]{0,63}$"},
                "description": "what we do, as RFC 4480 names it: away, busy, meeting, on-the-phone",
            },
            "note": text("words", most=1024),
            "contact": text("where we can be reached: a URI", most=2048),
            "text": text("a PIDF document, in the place of all others", most=65536, least=1),
        },
        "How we are.",
        is_closed=True,
    ),
    "MailCount": shape(
        "kind new",
        {
            "kind": text("voice-message, fax-message, text-message or another kind", most=64, least=1),
            "new": {**NUMBER, "maximum": 2**32 - 1},
            "old": {**NUMBER, "maximum": 2**32 - 1},
        },
        is_closed=True,
    ),
    "Mailbox": shape(
        "watchers",
        {
            "waiting": {**TRUTH, "description": "whether anything does"},
            "account": text("the URI that plays the messages"),
            "counts": {"type": "array", "items": ref("MailCount")},
            "watchers": {**NUMBER, "description": "how many have subscribed"},
            "content_type": text(),
            "text": text("the document that they are told"),
            "body_base64": text(),
        },
        "What those are told who subscribe to our mailbox.",
    ),
    "NewMailbox": shape(
        "waiting",
        {
            "waiting": TRUTH,
            "account": text("the URI that plays the messages", most=2048),
            "counts": {"type": "array", "maxItems": 16, "items": ref("MailCount")},
        },
        "What waits.",
        is_closed=True,
    ),
    "Referral": shape(
        "id direction method to state began changed",
        {
            "id": text("its number, which events have as referral"),
            "direction": _state("in", "out"),
            "method": text("with what somebody is to ask"),
            "to": text("whom"),
            "state": text(
                "of ours: idle, waiting, referring, accepted, trying, progressing, succeeded, redirected, failed or "
                "terminated; of a peer's: waiting, accepted, declined, given up or over"
            ),
            "status": {**NUMBER, "description": "of the outcome; of a peer's, with which it was decided"},
            "reason": text(),
            "from": _CLAIM,
            "referred_by": text("who is said to have asked for it; anybody can write that"),
            "session": text("the session that it came in"),
            "made": text("the session that was made because of it"),
            **PEER,
            "flow": text(),
            **_TIMES,
        },
        "A REFER: somebody is asked to make a request to somebody else.",
    ),
    "NewReferral": shape(
        "peer to",
        {
            "peer": {**TO, "description": "who is asked: sip:user@host"},
            "to": {**TO, "description": "to whom he is to make a request"},
            "method": text("with which method; INVITE without it", most=32, least=1),
            "subscription": {
                "type": "string",
                "enum": ["wanted", "unwanted", "none"],
                "description": "whether he is to tell what becomes of it; wanted without it",
            },
            "headers": FIELDS,
        },
        "A REFER to send outside of a session.",
        is_closed=True,
    ),
    "AcceptReferral": shape(
        "", {**OFFER, "headers": FIELDS}, "What the call is to offer; silence without it.", is_closed=True
    ),
    "DeclineReferral": shape(
        "",
        {
            "status": {"type": "integer", "minimum": 300, "maximum": 699, "description": "603 without it"},
            "reason": text(most=128),
            "headers": FIELDS,
        },
        is_closed=True,
    ),
    "Transfer": shape(
        "",
        {
            "to": {**TO, "description": "whom the peer is to call in our place: a blind transfer"},
            "session": text("the session whose peer it is to talk to: an attended transfer", most=32, least=1),
            "headers": FIELDS,
        },
        "To whom a session is transferred: to, or session.",
        is_closed=True,
    ),
    "Registration": shape(
        "id registrar state expires flows",
        {
            "id": text(),
            "registrar": text(),
            "state": _state("idle", "registering", "registered", "waiting_for_retry", "unregistering", "terminated"),
            "expires": _LEFT,
            "flows": {**TEXTS, "description": "the flows that it stands over"},
            "is_outbound": {**TRUTH, "description": "whether requests come over the flows that we opened (RFC 5626)"},
            "path": TEXTS,
            "service_route": TEXTS,
            "other_contacts": {**TEXTS, "description": "what else is registered under our address"},
            "public_gruu": text(),
            "temporary_gruu": text(),
            "failure": ref("Failure"),
        },
        "Where we are registered.",
    ),
    "OutboxMessage": shape(
        "id to state queued expires attempts octets",
        {
            "id": text("by what it is known, and its duplicates"),
            "to": text(),
            "state": OUTBOX_STATE,
            "queued": text("when it was accepted"),
            "expires": text("until when it is to be delivered"),
            "due": text("when it is tried again"),
            "settled": text("when its outcome was known"),
            "attempts": {**NUMBER, "description": "how often it was tried"},
            "status": {**NUMBER, "description": "of the last answer"},
            "reason": text("what came of the last attempt, in words"),
            "report": text("what the last report on it says"),
            "octets": {**NUMBER, "description": "of its body; none once it was delivered"},
            "content_type": text(),
            "text": text(),
            "body_base64": text(),
        },
        "A message that is kept until it is delivered, has failed or is too old.",
    ),
    "NewOutboxMessage": shape(
        "to",
        {
            "to": TO,
            **CONTENT,
            "headers": FIELDS,
            "subject": text("what it is about", most=256),
            "expires": {
                "type": "number",
                "minimum": 1,
                "maximum": 30 * 86400,
                "description": "after how many seconds it is of no use any more; three days without it",
            },
            "id": {
                "type": "string",
                "pattern": "^[A-Za-z0-9._~:@+-]{1,128}$",
                "description": "by what it is to be known: the same message may be given again under it, and is "
                "accepted once",
            },
        },
        "A message for the outbox.",
        is_closed=True,
    ),
    "OutboxPage": shape(
        "messages waiting octets next",
        {
            "messages": {"type": "array", "items": ref("OutboxMessage")},
            "waiting": {**NUMBER, "description": "how many have no outcome yet"},
            "octets": {**NUMBER, "description": "of their bodies"},
            "next": text("what to give as after for the next page; null on the last", may_be_null=True),
        },
    ),
}
"""These shapes by their names."""
