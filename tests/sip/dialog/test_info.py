"""INFO and its packages (RFC 6086): which are taken, which are sent, and what is said of them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.dialog.info import check_package, info_status, package_of, packages_of
from sip_p2p.sip.message import Request
from tests.sip.dialog.pair import ANSWER, Pair


def info(*packages: str) -> Request:
    """An INFO with these Info-Package fields."""
    return Request("INFO", "sip:b@b.example", [("Info-Package", package) for package in packages])


class PackageTests(SynchronousTestCase):
    """Reading Info-Package and Recv-Info (sections 7.2, 7.3 and 9.2)."""

    def test_package(self) -> None:
        """The name counts as it is written, without its parameters (section 7.2); none is RFC 2976."""
        self.assertEqual(package_of(info("DTMF;rate=5")), "DTMF")
        self.assertEqual(package_of(info()), "")

    def test_none_that_can_be_read(self) -> None:
        """Two packages, two fields, or what is no token cannot be read (400)."""
        for packages in (("a", "b"), ("a, b",), ("a b",), ("",), (";x=1",)):
            with self.assertRaises(MalformedMessage):
                package_of(info(*packages))

    def test_recv_info(self) -> None:
        """A list of names, in one field or in several; an empty one lists nothing."""
        self.assertEqual(packages_of(["Foo, bar;x=1", "baz"]), {"Foo", "bar", "baz"})
        self.assertEqual(packages_of([""]), frozenset())
        with self.assertRaises(MalformedMessage):
            packages_of(["a b"])

    def test_status(self) -> None:
        """469 for a package that was not listed, or is written otherwise (sections 4.2.2 and 7.2), 400 for what cannot
        be read: row:H25."""
        self.assertEqual(info_status(info("Foo"), ("Foo", "bar")), 0)
        self.assertEqual(info_status(info("foo"), ("Foo", "bar")), 469)
        self.assertEqual(info_status(info(), ()), 0)
        self.assertEqual(info_status(info("baz"), ("foo",)), 469)
        self.assertEqual(info_status(info("a b"), ("foo",)), 400)

    def test_sending(self) -> None:
        """What the peer has not listed is not sent (section 4.2.1); an INFO without a package is nobody's business."""
        check_package([("Info-Package", "foo")], frozenset({"foo"}))
        check_package([("X-Other", "foo")], None)
        for packages in (None, frozenset[str](), frozenset({"bar"}), frozenset({"foo"})):
            with self.assertRaises(InvalidOperation):
                check_package([("info-package", "Foo")], packages)
        for fields in (
            [("Info-Package", "a b")],
            [("Info-Package", "foo"), ("Info-Package", "foo")],
            [("Recv-Info", "foo")],
        ):
            with self.assertRaises(ValueError):
                check_package(fields, frozenset({"foo"}))


class SessionTests(SynchronousTestCase):
    """Packages in a session: row:H25."""

    def setUp(self) -> None:
        """Bob takes the package dtmf."""
        self.pair = pair = Pair()
        pair.bob.profile.info_packages = ("dtmf",)
        pair.bob.on_invite = lambda invitation: invitation.accept(pair.now, ANSWER)
        pair.alice.call()
        pair.wait(1.0)
        # What a change of the session says of packages counts as well (section 5.2.2).
        pair.bob.usage.modify(ANSWER, pair.now)
        pair.bob.work()
        pair.wait(0.2)
        pair.alice.usage.answer(ANSWER, pair.now)
        pair.alice.work()
        pair.wait(1.0)
        pair.bob.heard.clear()
        pair.alice.heard.clear()

    def send(self, *fields: tuple[str, str]) -> None:
        """Alice sends an INFO."""
        self.pair.alice.usage.request("INFO", self.pair.now, b"1", "text/plain", fields)
        self.pair.alice.work()
        self.pair.wait(1.0)

    def test_taken(self) -> None:
        """An INFO of a package that is listed reaches the application; so does one without a package: row:H25."""
        self.send(("Info-Package", "dtmf"))
        self.send()
        self.assertEqual(self.pair.bob.heard, ["request INFO", "request INFO"])
        self.assertEqual(self.pair.alice.heard, ["request ended 200", "request ended 200"])

    def test_not_listed(self) -> None:
        """An INFO of another package is not even sent; where it comes all the same, 469 says what is taken: row:H25."""
        with self.assertRaises(InvalidOperation):
            self.send(("Info-Package", "other"))
        self.pair.bob.profile.info_packages = ("other", "more")
        self.send(("Info-Package", "dtmf"))
        self.assertEqual((self.pair.bob.heard, self.pair.alice.heard), ([], ["request ended 469"]))
        self.assertIn("Recv-Info: other, more", self.pair.last("< 469"))
