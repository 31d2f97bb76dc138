"""What came of a look at the signature of a request (RFC 8224 section 6.2.2)."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from sip_p2p.sip.passport import Passport

__all__ = ["PassportStatus", "PassportVerdict"]


class PassportStatus(enum.Enum):
    """The outcomes."""

    ABSENT = "there is no signature of a kind that is known"
    VALID = "who signed it may speak for its caller"
    INVALID = "there is a signature, and it proves nothing"


@final
class PassportVerdict:
    """The judgement on one request.

    Only with :attr:`is_valid` does it say anything about who the caller is.

    :ivar status: the outcome.
    :ivar code: with which status a request is refused for it: 0 where it is valid, else 403, 428, 436, 437 or 438.
    :ivar detail: why, in a few words for a log; empty where it is valid.
    :ivar passport: what was signed; None where it could not be read.
    :ivar certificate: whose signature it is; None unless it is valid.
    """

    __slots__ = ("certificate", "code", "detail", "passport", "status")

    def __init__(
        self,
        status: PassportStatus,
        code: int,
        detail: str = "",
        passport: Passport | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self.status = status
        self.code = code
        self.detail = detail
        self.passport = passport
        self.certificate = certificate

    @property
    def is_valid(self) -> bool:
        """Whether the signature proves who the caller is."""
        return self.status is PassportStatus.VALID

    @property
    def phrase(self) -> str | None:
        """The reason phrase of a refusal; None for the usual one of its code (RFC 8224 section 6.2.2)."""
        return "Stale Date" if self.code == 403 else None

    def __repr__(self) -> str:
        said = f"{self.code}: {self.detail}" if self.code else str(self.passport)
        return f"<PassportVerdict {self.status.name} {said}>"
