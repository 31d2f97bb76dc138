"""Tests of what one party can do."""

from __future__ import annotations

from sip_p2p.errors import InvalidOperation
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.profile import Profile
from tests.support import SynchronousTestCase


class MethodTests(SynchronousTestCase):
    """RFC 3261 section 8.2.1."""

    def test_allow(self) -> None:
        """Allow names what the application takes, in one order, and OPTIONS, which is always answered (section
        11.2)."""
        profile = Profile(methods=("PUBLISH", "MESSAGE"))
        self.assertEqual(profile.allow_value, "MESSAGE, OPTIONS, PUBLISH")
        self.assertEqual(Profile().allow_value, "OPTIONS")

    def test_changes_are_seen(self) -> None:
        """A method that comes or goes is in Allow, or out of it, from then on (row:B12)."""
        profile = Profile()
        self.assertEqual((profile.allows("INFO"), profile.allow_value), (False, "OPTIONS"))
        profile.allow("INFO")
        self.assertEqual((profile.allows("INFO"), profile.allow_value), (True, "INFO, OPTIONS"))
        profile.disallow("INFO")
        profile.disallow("INFO")
        self.assertEqual((profile.allows("INFO"), profile.allow_value), (False, "OPTIONS"))

    def test_methods_are_case_sensitive(self) -> None:
        """A method is itself and no other capitalisation of it (RFC 3261 section 7.1)."""
        self.assertFalse(Profile(methods=("MESSAGE",)).allows("message"))

    def test_owner(self) -> None:
        """The owner finds again what it put there."""
        owner = object()
        self.assertIs(Profile(owner).user, owner)


class ContactTests(SynchronousTestCase):
    """RFC 3261 section 12.1.1: what makes a dialog names its maker's Contact."""

    def test_contact(self) -> None:
        """The Contact follows the flow and the scheme that is asked for."""
        profile = Profile()
        profile.contact = lambda flow, secure: f"<{'sips' if secure else 'sip'}:me@{flow.sent_by}>"
        flow = Flow("TLS", True, "here.example", "192.0.2.9", 5061)
        self.assertEqual(profile.contact_value(flow, False), "<sip:me@here.example>")
        self.assertEqual(profile.contact_value(flow, True), "<sips:me@here.example>")

    def test_none(self) -> None:
        """A party that nobody told its Contact says so instead of making one up."""
        flow = Flow("TLS", True, "here.example", "192.0.2.9", 5061)
        self.assertRaises(InvalidOperation, Profile().contact_value, flow, False)


class ExtensionTests(SynchronousTestCase):
    """RFC 3261 section 8.2.2.3."""

    def test_supported(self) -> None:
        """Supported names the option tags in one order, and is empty where there are none (row:A19, row:G10)."""
        profile = Profile(supported=("timer", "100rel"))
        self.assertEqual(profile.supported_value, "100rel, timer")
        profile.supported.add("path")
        self.assertEqual(profile.supported_value, "100rel, path, timer")
        self.assertEqual(Profile().supported_value, "")

    def test_profiles_share_nothing(self) -> None:
        """What one party learns to understand, another does not."""
        tags = {"path"}
        one, other = Profile(supported=tags), Profile(supported=tags)
        one.supported.add("timer")
        one.allow("INFO")
        self.assertEqual((tags, other.supported, other.allows("INFO")), ({"path"}, {"path"}, False))


class BodyTests(SynchronousTestCase):
    """RFC 3261 section 8.2.3."""

    def test_accepts(self) -> None:
        """A method takes the media types that were named for it, by name, by kind or all of them (row:G11)."""
        profile = Profile(methods=("INFO",))
        for accept, text, json in (
            (None, True, True),
            (("text/plain",), True, False),
            (("TEXT/Plain",), True, False),
            (("text/*", "image/png"), True, False),
            (("*/*",), True, True),
            (("application/json",), False, True),
            ((), False, False),
        ):
            profile.allow("INFO", accept)
            found = profile.accepts("INFO", "text/plain"), profile.accepts("INFO", "application/json")
            self.assertEqual(found, (text, json), accept)

    def test_no_half_matches(self) -> None:
        """A kind is compared whole: text/* covers neither textual/x nor tex/t (row:G11)."""
        profile = Profile(methods=("INFO",))
        profile.allow("INFO", ("text/*",))
        for other in ("textual/x", "tex/t", "application/text", "*/plain"):
            self.assertFalse(profile.accepts("INFO", other), other)

    def test_accept_of_all_methods(self) -> None:
        """Accept over all methods lists each type once, and everything where one method takes anything."""
        profile = Profile()
        profile.allow("INFO", ("application/x", "text/plain"))
        profile.allow("NOTIFY", ("text/plain", "message/sipfrag"))
        self.assertEqual(profile.accept_value, "application/x, message/sipfrag, text/plain")
        profile.allow("MESSAGE")
        self.assertEqual(profile.accept_value, "*/*")

    def test_accept_of_one_method(self) -> None:
        """Accept in a 415 is about the method that was refused."""
        profile = Profile()
        profile.allow("INFO", ("application/x", "text/plain"))
        profile.allow("MESSAGE")
        self.assertEqual(profile.accept_value_for("INFO"), "application/x, text/plain")
        self.assertEqual(profile.accept_value_for("MESSAGE"), "*/*")

    def test_types_go_with_their_method(self) -> None:
        """Naming a method again replaces its types, and taking it back forgets them."""
        profile = Profile()
        profile.allow("INFO", ("application/x",))
        profile.allow("INFO")
        self.assertTrue(profile.accepts("INFO", "text/plain"))
        profile.allow("INFO", ("application/x",))
        profile.disallow("INFO")
        profile.allow("INFO")
        self.assertTrue(profile.accepts("INFO", "text/plain"))
