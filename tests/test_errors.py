"""The tree of exceptions: what catches what, and what each carries."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p import errors
from sip_p2p.errors import (
    AlreadyResponded,
    ConnectionFailure,
    InvalidOperation,
    ListenFailed,
    MalformedMessage,
    RequestFailed,
    RestrictedHeader,
    SipError,
    TlsFailure,
    TlsFailureReason,
)
from sip_p2p.sip.message import Response

PACKAGE = Path(errors.__file__).parent


def drawn_tree() -> dict[str, str]:
    """Each class in the drawing of the module's docstring, and the class that it stands under."""
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.fullmatch(r"( {4,})([A-Z]\w+)(?:\(.*?\))?(?: {2,}.*)?", line)
        if found is None:
            continue
        depth = len(found[1])
        while path and path[-1][0] >= depth:
            path.pop()
        parents[found[2]] = path[-1][1] if path else "Exception"
        path.append((depth, found[2]))
    return parents


class TreeTests(SynchronousTestCase):
    """One root, and the shape that the module draws."""

    def test_the_drawing_is_the_tree(self) -> None:
        """Every exception derives from what it is drawn under, all of them from SipError (row:M1)."""
        classes = {
            name: class_
            for name, class_ in inspect.getmembers(errors, inspect.isclass)
            if issubclass(class_, Exception) and class_.__module__ == errors.__name__
        }
        self.assertEqual(drawn_tree(), {name: class_.__bases__[0].__name__ for name, class_ in classes.items()})
        for class_ in classes.values():
            self.assertTrue(issubclass(class_, SipError))

    def test_one_handler_for_each_wish(self) -> None:
        """A TLS failure is a connection failure; a restricted header is a wrong value too (row:M1)."""
        self.assertTrue(issubclass(TlsFailure, ConnectionFailure))
        self.assertTrue(issubclass(RestrictedHeader, ValueError))
        self.assertTrue(issubclass(AlreadyResponded, InvalidOperation))
        self.assertFalse(issubclass(RequestFailed, ConnectionFailure))


class PayloadTests(SynchronousTestCase):
    """What the exceptions carry and say."""

    def test_malformed_message(self) -> None:
        """It names the status to answer with and where in the message it happened."""
        error = MalformedMessage("Content-Length is no number", 400, 17)
        self.assertEqual((error.reason, error.status, error.offset), ("Content-Length is no number", 400, 17))
        self.assertEqual(str(error), "Content-Length is no number (at octet 17)")
        self.assertEqual(str(MalformedMessage("no Via")), "no Via")

    def test_invalid_operation(self) -> None:
        """It says whether the same call can succeed later (row:M3)."""
        self.assertFalse(InvalidOperation("no certificate").retryable)
        self.assertTrue(InvalidOperation("busy", retryable=True).retryable)

    def test_restricted_header(self) -> None:
        """It names the field."""
        self.assertEqual(RestrictedHeader("Via").name, "Via")
        self.assertIn("Via", str(RestrictedHeader("Via")))

    def test_request_failed(self) -> None:
        """It carries the whole response, and its status."""
        response = Response(486, "Busy Here")
        error = RequestFailed(response)
        self.assertIs(error.response, response)
        self.assertEqual((error.status, str(error)), (486, "486 Busy Here"))

    def test_tls_failure(self) -> None:
        """It tells the reason in words, the peer, and what OpenSSL and the other side said."""
        error = TlsFailure(
            TlsFailureReason.CERTIFICATE_EXPIRED,
            "b.example",
            detail="since yesterday",
            alert="certificate_expired",
            errors=(("SSL routines", "", "certificate expired"),),
        )
        self.assertEqual(str(error), "the peer's certificate has expired: since yesterday [b.example]")
        self.assertEqual((error.alert, error.certificate), ("certificate_expired", None))
        self.assertEqual(error.errors, (("SSL routines", "", "certificate expired"),))
        self.assertEqual(str(TlsFailure(TlsFailureReason.OTHER)), "another TLS failure")

    def test_listen_failed(self) -> None:
        """It keeps the operating system's own error."""
        cause = OSError(98, "Address already in use")
        self.assertIs(ListenFailed("cannot listen", cause).cause, cause)


class ReasonTests(SynchronousTestCase):
    """The reasons of a TLS failure."""

    def test_every_reason_is_given_somewhere(self) -> None:
        """Each reason is used outside of its own definition, and each one that is used exists (row:D25)."""
        used = {
            node.attr
            for path in PACKAGE.rglob("*.py")
            if path.name not in ("errors.py", "words.py")
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Attribute) and ast.unparse(node.value).split(".")[-1] == "TlsFailureReason"
        }
        self.assertEqual({reason.name for reason in TlsFailureReason}, used)

    def test_reasons_speak(self) -> None:
        """The value of each reason is a sentence of its own."""
        self.assertEqual(len({reason.value for reason in TlsFailureReason}), len(TlsFailureReason))
