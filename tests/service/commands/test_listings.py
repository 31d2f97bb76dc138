"""What can be shown as a table."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.service.commands.listings import SHOWN


class ListingTests(SynchronousTestCase):
    """Each listing, and what its columns make of a row."""

    def test_of_nothing(self) -> None:
        """A row that lacks everything has nothing in its columns that cannot be shown, and each column a name."""
        for name, listing in SHOWN.items():
            self.assertTrue(listing.path.startswith("/v1/"), name)
            names = [column.name for column in listing.columns]
            self.assertEqual(len(set(names)), len(names), name)
            for column in listing.columns:
                self.assertIsInstance(column.style({}), str, (name, column.name))
                self.assertIn(column.value({}), (None, "", "to", "nobody proved"), (name, column.name))

    def shown(self, name: str, row: dict[str, object]) -> dict[str, tuple[object, str]]:
        """Each column of *row*, with its style."""
        return {column.name: (column.value(row), column.style(row)) for column in SHOWN[name].columns}

    def test_standing(self) -> None:
        """A state is green, yellow or red, and what is left of it a time."""
        for row, expected in (
            ({"state": "subscribed", "expires": 3661}, (("subscribed", "green"), ("1:01:01", ""))),
            ({"state": "subscribed", "is_pending": True}, (("subscribed, pending", "yellow"), ("", ""))),
            ({"state": "waiting_for_retry"}, (("waiting for retry", "yellow"), ("", ""))),
            ({"state": "terminated"}, (("terminated", "red"), ("", ""))),
        ):
            found = self.shown("subscriptions", row)
            self.assertEqual((found["state"], found["for"]), expected)

    def test_why(self) -> None:
        """The reason that the other side gave goes before what we make of a failure."""
        failure = {"words": "nobody is there"}
        self.assertEqual(self.shown("publications", {"failure": failure})["reason"], ("nobody is there", ""))
        both = {"reason": "rejected", "failure": failure}
        self.assertEqual(self.shown("subscriptions", both)["reason"], ("rejected", ""))

    def test_answer(self) -> None:
        """A request has a response or a failure."""
        for row, expected in (
            ({"response": {"status": 200, "reason": "OK"}}, ("200 OK", "")),
            ({"state": "failed", "failure": {"words": "it took too long"}}, ("it took too long", "red")),
        ):
            self.assertEqual(self.shown("requests", row)["answer"], expected)

    def test_certificate(self) -> None:
        """A certificate is red when it is about to expire."""
        for days, style in ((2, "bold red"), (29, "yellow"), (30, "green"), (None, "")):
            self.assertEqual(self.shown("certificates", {"days_left": days})["days left"], (days, style))
