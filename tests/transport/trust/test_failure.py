"""OpenSSL's words for what went wrong, and ours."""

from __future__ import annotations

from OpenSSL import SSL
from OpenSSL.SSL import X509VerificationCodes

from sip_p2p.errors import TlsFailureReason
from sip_p2p.transport.trust.failure import (
    alert_name,
    openssl_errors,
    trouble_of,
    verification_reason,
    verification_words,
)
from tests.support import SynchronousTestCase

Reason = TlsFailureReason


def error(*reasons: str, library: str = "SSL routines") -> SSL.Error:
    """An OpenSSL error as pyOpenSSL raises it."""
    return SSL.Error([(library, "", reason) for reason in reasons])


class VerificationTests(SynchronousTestCase):
    """Verification codes."""

    def test_reasons(self) -> None:
        """Each code has its reason, and to an unknown one nobody is trusted either. row:D15 row:D16"""
        for code, reason in (
            (2, Reason.UNTRUSTED_REMOTE_CERTIFICATE),
            (7, Reason.UNTRUSTED_REMOTE_CERTIFICATE),
            (9, Reason.CERTIFICATE_NOT_YET_VALID),
            (10, Reason.CERTIFICATE_EXPIRED),
            (18, Reason.UNTRUSTED_REMOTE_CERTIFICATE),
            (19, Reason.UNTRUSTED_REMOTE_CERTIFICATE),
            (20, Reason.UNTRUSTED_REMOTE_CERTIFICATE),
            (21, Reason.UNTRUSTED_REMOTE_CERTIFICATE),
            (X509VerificationCodes.ERR_INVALID_CA, Reason.UNTRUSTED_REMOTE_CERTIFICATE),
            (22, Reason.UNTRUSTED_REMOTE_CERTIFICATE),
            (23, Reason.REMOTE_CERTIFICATE_REVOKED),
            (26, Reason.REMOTE_CERTIFICATE_INVALID_USAGE),
            (66, Reason.REMOTE_CERTIFICATE_WEAK),
            (67, Reason.REMOTE_CERTIFICATE_WEAK),
            (68, Reason.REMOTE_CERTIFICATE_WEAK),
            (34, Reason.REMOTE_CERTIFICATE_INVALID),
            (9999, Reason.REMOTE_CERTIFICATE_INVALID),
        ):
            self.assertEqual(verification_reason(code), reason, code)

    def test_words(self) -> None:
        """A code is put into words, with the place in the chain that it is about."""
        self.assertEqual(verification_words(10, 0), "cert has expired")
        self.assertEqual(verification_words(10, 2), "cert has expired (authority 2 above it)")
        self.assertEqual(verification_words(66, 0), "the key is too small")
        self.assertEqual(verification_words(9999, 0), "X.509 verification code 9999")


class AlertTests(SynchronousTestCase):
    """Alerts of the peer."""

    def test_names(self) -> None:
        """An alert is known by its name in RFC 8446, however old the OpenSSL that reports it. row:D18"""
        for words, name in (
            ("tlsv1 alert unknown ca", "unknown_ca"),
            ("sslv3 alert bad certificate", "bad_certificate"),
            ("ssl/tls alert bad certificate", "bad_certificate"),
            ("tls alert handshake failure", "handshake_failure"),
            ("tlsv13 alert certificate required", "certificate_required"),
            ("tlsv1 unrecognized name", "unrecognized_name"),
            ("wrong version number", ""),
            ("tlsv1 alert of the future", ""),
            ("no shared cipher", ""),
        ):
            self.assertEqual(alert_name((("SSL routines", "", words),)), name)

    def test_on_our_certificate(self) -> None:
        """Alerts about certificates are about ours, whenever they come. row:D18"""
        for name in ("unknown ca", "bad certificate", "certificate expired", "certificate revoked", "access denied",
                     "unsupported certificate", "certificate unknown", "certificate required"):  # fmt: skip
            for verified in (False, True):
                trouble = trouble_of(
                    error(f"tlsv1 alert {name}"), certificate_sent=False, have_certificate=True, verified=verified
                )
                self.assertEqual(trouble.reason, Reason.LOCAL_CERTIFICATE_REJECTED)
                self.assertEqual(trouble.alert, name.replace(" ", "_"))
        none = trouble_of(
            error("tlsv13 alert certificate required"), certificate_sent=True, have_certificate=False, verified=True
        )
        self.assertIn("we have none", none.detail)

    def test_that_may_mean_it(self) -> None:
        """internal_error, handshake_failure and decrypt_error mean our certificate where they answer it. row:D18"""
        for name in ("internal error", "handshake failure", "decrypt error"):
            for sent, reason in ((True, Reason.LOCAL_CERTIFICATE_REJECTED), (False, Reason.TLS_NEGOTIATION_FAILURE)):
                trouble = trouble_of(
                    error(f"tlsv1 alert {name}"), certificate_sent=sent, have_certificate=True, verified=False
                )
                self.assertEqual(trouble.reason, reason)
        later = trouble_of(
            error("tlsv1 alert internal error"), certificate_sent=False, have_certificate=True, verified=True
        )
        self.assertEqual((later.reason, later.alert), (Reason.OTHER, "internal_error"))


class ErrorTests(SynchronousTestCase):
    """Errors that are no alerts."""

    def reason(self, problem: SSL.Error, verified: bool = False) -> TlsFailureReason:
        """What an error is taken for."""
        return trouble_of(problem, certificate_sent=True, have_certificate=True, verified=verified).reason

    def test_closed(self) -> None:
        """A connection that just ends is the peer's doing, in each of the ways in which OpenSSL says so. row:D19"""
        for problem in (
            SSL.SysCallError(-1, "Unexpected EOF"),
            SSL.SysCallError(104, "ECONNRESET"),
            SSL.Error([]),
            SSL.Error(),
            error("unexpected eof while reading"),
        ):
            self.assertEqual(self.reason(problem), Reason.REMOTE_DISCONNECTED)

    def test_on_the_peers_certificate(self) -> None:
        """What OpenSSL finds wrong with the peer's certificate outside of our judgement has its reason. row:D20"""
        self.assertEqual(self.reason(error("peer did not return a certificate")), Reason.REMOTE_CERTIFICATE_MISSING)
        self.assertEqual(self.reason(error("ee key too small")), Reason.REMOTE_CERTIFICATE_WEAK)
        self.assertEqual(self.reason(error("certificate verify failed")), Reason.UNTRUSTED_REMOTE_CERTIFICATE)
        self.assertEqual(
            self.reason(error("wrong tag", library="asn1 encoding routines")), Reason.REMOTE_CERTIFICATE_INVALID
        )

    def test_everything_else(self) -> None:
        """Everything else is a failed negotiation, and once the peer is verified another failure. row:D20"""
        self.assertEqual(self.reason(error("wrong version number")), Reason.TLS_NEGOTIATION_FAILURE)
        self.assertEqual(self.reason(error("bad record mac"), verified=True), Reason.OTHER)
        trouble = trouble_of(error("a", "b"), certificate_sent=True, have_certificate=True, verified=False)
        self.assertEqual((trouble.detail, trouble.alert), ("b", ""))

    def test_errors(self) -> None:
        """OpenSSL's errors are kept as they came; other exceptions have none. row:D20"""
        self.assertEqual(openssl_errors(error("a", "b")), (("SSL routines", "", "a"), ("SSL routines", "", "b")))
        for other in (RuntimeError("a"), SSL.SysCallError(-1, "Unexpected EOF"), SSL.Error()):
            self.assertEqual(openssl_errors(other), ())
