"""The certificate matrix: every case in each direction over each version of TLS, and the page that shows it."""

from __future__ import annotations

import functools
import sys
import tempfile
from pathlib import Path

from sip_p2p.errors import TlsFailureReason
from tests.support import SynchronousTestCase
from tests.transport.certificate_cases import CASES, VERSIONS, Case, Outcome, run

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools"))

import certificate_matrix  # noqa: E402


@functools.cache
def outcomes_of(case: Case) -> list[Outcome]:
    """What becomes of a case, found out once for all tests."""
    with tempfile.TemporaryDirectory() as folder:
        return run(case, Path(folder))


class MatrixTests(SynchronousTestCase):
    """What becomes of each certificate."""

    def outcomes(self, *groups: str) -> list[tuple[str, Case, Outcome]]:
        """The cells of the cases under headings that begin like one of *groups*."""
        cells = []
        for case in CASES:
            if case.group.startswith(groups):
                for cell in outcomes_of(case):
                    where = f"{case.group}: {case.words} ({'dialled' if cell.we_dial else 'calling'}, {cell.version})"
                    cells.append((where, case, cell))
        self.assertGreater(len(cells), 0)
        return cells

    def assert_right(self, *groups: str) -> None:
        """Each cell has the verdict that was awaited, on both sides, and no octet of SIP got past a refusal."""
        wrong = []
        for where, case, cell in self.outcomes(*groups):
            found = (cell.verdict, cell.told, cell.alert)
            awaited = case.awaited(cell.we_dial, cell.version)
            if found != awaited or cell.talked is not (awaited[0] is None) or (awaited[0] is not None and cell.leaked):
                wrong.append(f"{where}: {found} instead of {awaited}")
        self.assertEqual(wrong, [])

    def test_names(self) -> None:
        """Names prove what RFC 5922 says, whoever dialled. fault:F1 fault:F2 fault:F3 fault:F5 fault:F12"""
        self.assert_right("Names")

    def test_purposes(self) -> None:
        """Extended key usages count as the policy says, per direction. fault:F4 row:D13"""
        self.assert_right("Extended key usage")

    def test_validity_chains_and_strength(self) -> None:
        """Validity, chains, keys and signatures are refused each for its own reason. fault:F6 row:D15 row:D16"""
        self.assert_right("Validity", "Chains", "Keys and signatures")

    def test_known_keys(self) -> None:
        """Pins and first use decide by the key, and no authority talks them round. fault:F6"""
        self.assert_right("Pinned", "Trust on first use")

    def test_by_what(self) -> None:
        """Whoever is accepted is accepted by the trust that the case is about, an authority before a key."""
        for where, case, cell in self.outcomes("Pinned", "Trust on first use", "Chains"):
            if cell.talked:
                others = "Chains" in case.group or "from the authority" in case.words or "nothing pinned" in case.words
                if others or "vouches" in case.words:
                    self.assertEqual(cell.trusted_by, "authority", where)
                else:
                    self.assertEqual(cell.trusted_by, "pinned key" if "Pinned" in case.group else "first use", where)

    def test_size(self) -> None:
        """There are 60 certificates at least, 17 of them on key usage, each with words of its own. fault:F4"""
        self.assertGreaterEqual(len(CASES), 60)
        self.assertGreaterEqual(sum(case.group.startswith("Extended key usage, by the usual") for case in CASES), 17)
        self.assertEqual(len({(case.group, case.words) for case in CASES}), len(CASES))
        self.assertEqual(set(VERSIONS), {"1.2", "1.3"})

    def test_distinct_reasons(self) -> None:
        """Each kind of refusal has a reason of its own. row:D25 fault:F6"""
        reasons = {case.dialled for case in CASES} | {case.calling for case in CASES}
        self.assertLessEqual(
            {
                TlsFailureReason.UNTRUSTED_REMOTE_CERTIFICATE,
                TlsFailureReason.INCORRECT_NAME_IN_REMOTE_CERTIFICATE,
                TlsFailureReason.CERTIFICATE_EXPIRED,
                TlsFailureReason.CERTIFICATE_NOT_YET_VALID,
                TlsFailureReason.REMOTE_CERTIFICATE_INVALID_USAGE,
                TlsFailureReason.REMOTE_CERTIFICATE_WEAK,
                TlsFailureReason.REMOTE_CERTIFICATE_INVALID,
                TlsFailureReason.REMOTE_KEY_NOT_PINNED,
                TlsFailureReason.REMOTE_KEY_CHANGED,
                TlsFailureReason.KEY_NOT_REMEMBERED,
            },
            reasons,
        )


class PageTests(SynchronousTestCase):
    """tools/certificate_matrix.py."""

    def test_page_is_current(self) -> None:
        """The table in the documents is what the handshakes yield."""
        page = certificate_matrix.page(outcomes_of)
        self.assertEqual((ROOT / "docs" / "certificates.rst").read_text("utf-8"), page)
        self.assertIn(f"{len(CASES)} certificates", page)
