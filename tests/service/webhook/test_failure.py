"""The kinds of failure, and the page that states what becomes of each."""

from __future__ import annotations

from sip_p2p.service.webhook.failure import STATUS, FailureKind, HookFailure
from tests.manual import ROOT
from tests.support import SynchronousTestCase


class FailureKindTests(SynchronousTestCase):
    """:class:`FailureKind`."""

    def test_the_page_has_them_all(self) -> None:
        """docs/webhooks.rst states for each kind whether it is tried again and counts against the hook."""
        page = (ROOT / "docs/webhooks.rst").read_text("utf-8")
        for kind in FailureKind:
            (line,) = [each for each in page.splitlines() if each.startswith(f"``{kind.words}``")]
            again, counts = line.split()[-2:]
            self.assertEqual((again == "yes", counts == "yes"), (kind.is_retried, kind.is_sick), kind)

    def test_the_words_are_distinct(self) -> None:
        """Each kind has its own word, which programs can go by."""
        self.assertEqual(len({kind.words for kind in FailureKind}), len(FailureKind))
        self.assertEqual(STATUS, 503)

    def test_in_words(self) -> None:
        """A failure says its kind, and what else is known."""
        self.assertEqual(str(HookFailure(FailureKind.TLS)), "tls")
        self.assertEqual(str(HookFailure(FailureKind.SERVER_ERROR, "status 502", 3.0)), "server-error: status 502")
