"""What went wrong with TLS, in our terms: from OpenSSL's errors, alerts and verification codes to a
``TlsFailureReason``.

RFC 8446 section 6 (alerts), RFC 5280 section 6 (path validation), rows D15 to D20 of the acceptance list. On the
refusing side the reason comes from the verification itself, on the other side from the alert that the refusing one
sends. Pure: values in, values out.
"""

from __future__ import annotations

import re
from typing import final

from OpenSSL import SSL
from OpenSSL.SSL import X509VerificationCodes

from sip_p2p.errors import TlsFailureReason

__all__ = [
    "TlsTrouble",
    "alert_name",
    "is_of_chain",
    "openssl_errors",
    "trouble_of",
    "verification_reason",
    "verification_words",
]

# OpenSSL writes "tlsv1 alert unknown ca", "tlsv13 alert certificate required", and "sslv3", "ssl/tls" or "tls alert bad
# certificate" depending on its age; the alerts of RFC 6066 come without the word "alert".
_ALERT = re.compile(r"(?:[a-z0-9/.]+ alert|tlsv1) ([a-z ]+)")
_ALERTS = frozenset(
    """close_notify unexpected_message bad_record_mac decryption_failed record_overflow decompression_failure
    handshake_failure no_certificate bad_certificate unsupported_certificate certificate_revoked certificate_expired
    certificate_unknown illegal_parameter unknown_ca access_denied decode_error decrypt_error export_restriction
    protocol_version insufficient_security internal_error inappropriate_fallback user_cancelled no_renegotiation
    missing_extension unsupported_extension certificate_unobtainable unrecognized_name bad_certificate_status_response
    bad_certificate_hash_value unknown_psk_identity certificate_required no_application_protocol""".split()
)
# By these the peer says that our certificate, or the lack of one, is what it refuses.
_ALERTS_ON_CERTIFICATE = frozenset(
    """no_certificate bad_certificate unsupported_certificate certificate_revoked certificate_expired
    certificate_unknown unknown_ca access_denied certificate_unobtainable bad_certificate_status_response
    bad_certificate_hash_value certificate_required""".split()
)
# These say it too, if they answer the flight that carries our certificate: OpenSSL sends the first where an application
# refuses a certificate that the library itself would accept, the second in TLS 1.2 where a certificate is missing, and
# the third where a signature does not fit, that on the certificate or that with its key.
_ALERTS_AFTER_CERTIFICATE = frozenset(["internal_error", "handshake_failure", "decrypt_error"])

_EE_KEY_TOO_SMALL, _CA_KEY_TOO_SMALL, _CA_MD_TOO_WEAK = 66, 67, 68

_VERIFICATION_REASONS: dict[int, TlsFailureReason] = {
    X509VerificationCodes.ERR_CERT_HAS_EXPIRED: TlsFailureReason.CERTIFICATE_EXPIRED,
    X509VerificationCodes.ERR_CERT_NOT_YET_VALID: TlsFailureReason.CERTIFICATE_NOT_YET_VALID,
    X509VerificationCodes.ERR_CERT_REVOKED: TlsFailureReason.REMOTE_CERTIFICATE_REVOKED,
    X509VerificationCodes.ERR_INVALID_PURPOSE: TlsFailureReason.REMOTE_CERTIFICATE_INVALID_USAGE,
    _EE_KEY_TOO_SMALL: TlsFailureReason.REMOTE_CERTIFICATE_WEAK,
    _CA_KEY_TOO_SMALL: TlsFailureReason.REMOTE_CERTIFICATE_WEAK,
    _CA_MD_TOO_WEAK: TlsFailureReason.REMOTE_CERTIFICATE_WEAK,
}
# Everything by which a chain fails to lead from an authority that we trust, by the rules that this authority has set.
_UNTRUSTED = frozenset(
    [
        X509VerificationCodes.ERR_UNABLE_TO_GET_ISSUER_CERT,
        X509VerificationCodes.ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
        X509VerificationCodes.ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE,
        X509VerificationCodes.ERR_DEPTH_ZERO_SELF_SIGNED_CERT,
        X509VerificationCodes.ERR_SELF_SIGNED_CERT_IN_CHAIN,
        X509VerificationCodes.ERR_CERT_UNTRUSTED,
        X509VerificationCodes.ERR_CERT_REJECTED,
        X509VerificationCodes.ERR_CERT_SIGNATURE_FAILURE,
        X509VerificationCodes.ERR_SUBJECT_ISSUER_MISMATCH,
        X509VerificationCodes.ERR_AKID_SKID_MISMATCH,
        X509VerificationCodes.ERR_AKID_ISSUER_SERIAL_MISMATCH,
        X509VerificationCodes.ERR_CERT_CHAIN_TOO_LONG,
        X509VerificationCodes.ERR_PATH_LENGTH_EXCEEDED,
        X509VerificationCodes.ERR_INVALID_CA,
        X509VerificationCodes.ERR_KEYUSAGE_NO_CERTSIGN,
        X509VerificationCodes.ERR_PERMITTED_VIOLATION,
        X509VerificationCodes.ERR_EXCLUDED_VIOLATION,
        X509VerificationCodes.ERR_UNABLE_TO_GET_CRL,
        X509VerificationCodes.ERR_CRL_HAS_EXPIRED,
        X509VerificationCodes.ERR_CRL_NOT_YET_VALID,
    ]
)
# What fails in the word of an authority, and not in the certificate for which it should vouch.
_OF_CHAIN = _UNTRUSTED | {_CA_KEY_TOO_SMALL, _CA_MD_TOO_WEAK}
_VERIFICATION_WORDS: dict[int, str] = {
    value: name.removeprefix("ERR_").replace("_", " ").lower()
    for name, value in vars(X509VerificationCodes).items()
    if name.startswith("ERR_")
} | {
    _EE_KEY_TOO_SMALL: "the key is too small",
    _CA_KEY_TOO_SMALL: "the key of an authority is too small",
    _CA_MD_TOO_WEAK: "the signature of an authority is too weak",
}

# What OpenSSL itself finds out about the peer's certificate outside of the verification.
_ERRORS_ON_CERTIFICATE: dict[str, TlsFailureReason] = {
    "peer did not return a certificate": TlsFailureReason.REMOTE_CERTIFICATE_MISSING,
    "ee key too small": TlsFailureReason.REMOTE_CERTIFICATE_WEAK,
    "ca key too small": TlsFailureReason.REMOTE_CERTIFICATE_WEAK,
    "ca md too weak": TlsFailureReason.REMOTE_CERTIFICATE_WEAK,
    "certificate verify failed": TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE,
}
_CLOSED = "unexpected eof"


@final
class TlsTrouble:
    """What an OpenSSL error means.

    :ivar reason: the reason.
    :ivar detail: a few words on it.
    :ivar alert: the alert that the peer sent, by its name in RFC 8446; empty if it sent none.
    """

    __slots__ = ("alert", "detail", "reason")

    def __init__(self, reason: TlsFailureReason, detail: str = "", alert: str = "") -> None:
        self.reason = reason
        self.detail = detail
        self.alert = alert


def verification_reason(code: int) -> TlsFailureReason:
    """The reason for an X.509 verification code other than 0."""
    if code in _UNTRUSTED:
        return TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE
    return _VERIFICATION_REASONS.get(code, TlsFailureReason.REMOTE_CERTIFICATE_INVALID)


def is_of_chain(code: int) -> bool:
    """Whether a verification code is only about what leads from the certificate to an authority."""
    return code in _OF_CHAIN


def verification_words(code: int, depth: int) -> str:
    """A verification code in words, with its place in the chain where that is not the peer's own certificate."""
    words = _VERIFICATION_WORDS.get(code, f"X.509 verification code {code}")
    return words if depth == 0 else f"{words} (authority {depth} above it)"


def openssl_errors(error: BaseException) -> tuple[tuple[str, str, str], ...]:
    """OpenSSL's own errors as (library, function, reason), the first one first; none for other exceptions."""
    if isinstance(error, SSL.SysCallError) or not isinstance(error, SSL.Error):
        return ()
    listed = error.args[0] if error.args else ()
    return tuple((str(each[0]), str(each[1]), str(each[2])) for each in listed if len(each) == 3)


def alert_name(errors: tuple[tuple[str, str, str], ...]) -> str:
    """The name of the alert that the peer sent, if one is among *errors*; else the empty string."""
    for _, _, words in errors:
        found = _ALERT.fullmatch(words)
        if found is not None:
            name = found[1].replace(" ", "_")
            if name in _ALERTS:
                return name
    return ""


def trouble_of(error: SSL.Error, *, certificate_sent: bool, have_certificate: bool, verified: bool) -> TlsTrouble:
    """Read an error that OpenSSL has raised.

    :param certificate_sent: whether the peer had seen our certificate, or had been told that we have none.
    :param have_certificate: whether we have one.
    :param verified: whether the peer had been verified already.
    """
    errors = openssl_errors(error)
    alert = alert_name(errors)
    if alert in _ALERTS_ON_CERTIFICATE or (certificate_sent and alert in _ALERTS_AFTER_CERTIFICATE):
        detail = f"it sent the alert {alert}" if have_certificate else f"we have none, and it sent the alert {alert}"
        return TlsTrouble(TlsFailureReason.LOCAL_CERTIFICATE_REJECTED, detail, alert)
    if alert == "no_application_protocol":
        words = "it sent the alert no_application_protocol"
        return TlsTrouble(TlsFailureReason.NO_COMMON_APPLICATION_PROTOCOL, words, alert)
    general = TlsFailureReason.OTHER if verified else TlsFailureReason.TLS_NEGOTIATION_FAILURE
    if alert:
        return TlsTrouble(general, f"the peer sent the alert {alert}", alert)
    # Since version 4, OpenSSL reports a connection that just ended without any error in its queue.
    if isinstance(error, SSL.SysCallError) or not errors or any(each[2].startswith(_CLOSED) for each in errors):
        return TlsTrouble(TlsFailureReason.REMOTE_DISCONNECTED)
    for _, _, words in errors:
        if words in _ERRORS_ON_CERTIFICATE:
            return TlsTrouble(_ERRORS_ON_CERTIFICATE[words], words)
    if any(library.startswith("asn1") for library, _, _ in errors):
        return TlsTrouble(TlsFailureReason.REMOTE_CERTIFICATE_INVALID, errors[0][2])
    return TlsTrouble(general, errors[-1][2])
