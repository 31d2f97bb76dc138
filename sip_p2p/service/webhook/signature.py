"""How a delivery is signed, so that whoever gets it knows that it is ours and new (the Standard Webhooks convention).

The signed content is ``id.timestamp.body``; the signature is its HMAC-SHA256 (RFC 2104) in base64 (RFC 4648), after
``v1,``. Several secrets give several signatures with spaces between them, so that a secret can be replaced while both
sides run: who verifies is content with one that fits. Pure: values in, values out.

Left out: asymmetric signatures (``v1a``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["LEAST_SECRET", "MOST_SECRETS", "TOLERANCE", "parse_secrets", "sign", "signature_fields", "verify"]

_PREFIX = "whsec_"
_VERSION = "v1"

LEAST_SECRET = 24
"""How many octets a secret has at least."""

MOST_SECRETS = 8
"""How many secrets there may be at once."""

TOLERANCE = 300.0
"""By how many seconds the clocks of the two sides may differ: an older delivery is somebody's replay."""


def parse_secrets(text: str) -> tuple[bytes, ...]:
    """The secrets in a file: one a line, ``whsec_`` and base64, the newest first; ``#`` begins a comment.

    :raises ValueError: one sentence that says which line is wrong, and never what stands in it.
    """
    found: list[bytes] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if not line.startswith(_PREFIX):
            raise ValueError(f"line {number} is no secret: write {_PREFIX} and base64 after it")
        try:
            secret = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"line {number} has no base64 after {_PREFIX}") from None
        if len(secret) < LEAST_SECRET:
            raise ValueError(f"the secret in line {number} is too short: {LEAST_SECRET} octets at least")
        found.append(secret)
    if not found:
        raise ValueError(f"it holds no secret: write one a line, {_PREFIX} and base64 after it")
    if len(found) > MOST_SECRETS:
        raise ValueError(f"it holds more than {MOST_SECRETS} secrets")
    return tuple(found)


def sign(secrets: Iterable[bytes], delivery: str, timestamp: int, body: bytes) -> str:
    """The value of ``webhook-signature``.

    :param delivery: the delivery's id.
    :param timestamp: seconds since 1970.
    """
    content = f"{delivery}.{timestamp}.".encode() + body
    return " ".join(
        f"{_VERSION},{base64.b64encode(hmac.digest(secret, content, hashlib.sha256)).decode('ascii')}"
        for secret in secrets
    )


def signature_fields(secrets: Sequence[bytes], delivery: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The header fields with which a delivery goes."""
    return {
        "webhook-id": delivery,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(secrets, delivery, timestamp, body),
    }


def verify(secrets: Iterable[bytes], fields: Mapping[str, str], body: bytes, now: float) -> str:
    """Verify a delivery as whoever gets it must before it looks at the body.

    :param fields: header fields by their names in small letters.
    :param now: seconds since 1970.
    :returns: the delivery's id.
    :raises ValueError: it is not one of ours, or not a new one; the text says why.
    """
    delivery, stamp, given = (fields.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not delivery or not given:
        raise ValueError("the delivery is not signed")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise ValueError("the delivery has no timestamp")
    if abs(now - int(stamp)) > TOLERANCE:
        raise ValueError("the delivery is too old, or of the future")
    awaited = [each.encode("ascii") for each in sign(secrets, delivery, int(stamp), body).split(" ")]
    shown = [each.encode("utf-8") for each in given.split(" ")]
    # Each is compared with each, so that the time taken tells nothing of where they differ.
    equal = [hmac.compare_digest(one, other) for one in shown for other in awaited]
    if not any(equal):
        raise ValueError("the signature is not one of ours")
    return delivery
