"""Writes docs/certificates.rst: what becomes of each certificate of the matrix, by real handshakes in memory.

The certificates and the verdicts that they should have are in ``tests/transport/certificate_cases.py``; the tests hold
one against the other. This shows what really happens, and fails if a cell is wrong.

::

    python tools/certificate_matrix.py            writes the page
    python tools/certificate_matrix.py --check    fails when the page is not what the handshakes yield
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["main", "page"]

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.transport.certificate_cases import CASES, Case, Outcome, run  # noqa: E402

PAGE = ROOT / "docs" / "certificates.rst"

INTRODUCTION = """\
Certificates: the matrix
========================

Written by ``tools/certificate_matrix.py`` from {handshakes} handshakes in memory: {cases} certificates, each shown by
the party that we dial and by the party that dials us, over TLS 1.2 and over TLS 1.3. What should become of each is
written by hand in ``tests/transport/certificate_cases.py``, and the tests hold one against the other. Unless something
else is said, ``b.example`` is dialled, everybody may call who is known, and a private authority is trusted.

A verdict is the :class:`~sip_p2p.errors.TlsFailureReason` on our side. The other side sees
``LOCAL_CERTIFICATE_REJECTED``, with the alert that is shown here. Where OpenSSL itself refuses, its alert fits the
reason; where one of our own rules does, the alert is ``internal_error``: OpenSSL derives it from a code that the
callback of pyOpenSSL cannot set. Where the two versions differ, both are shown: some certificates are so broken that
OpenSSL does not even show them as a TLS 1.2 server.
"""


def page(outcomes: Callable[[Case], list[Outcome]]) -> str:
    """The whole page.

    :param outcomes: puts a case through its handshakes.
    :raises ValueError: a cell is not as it should be; the message says which.
    """
    parts = [INTRODUCTION.format(cases=len(CASES), handshakes=4 * len(CASES))]
    group = ""
    for case in CASES:
        if case.group != group:
            group = case.group
            parts.append(_heading(group))
        parts.append(_row(case, outcomes(case)))
    return "\n".join(parts)


def _heading(group: str) -> str:
    return (
        f"{group}\n{'-' * len(group)}\n\n"
        ".. list-table::\n   :header-rows: 1\n   :widths: 40 22 22 16\n\n"
        "   * - Certificate\n     - We dial\n     - It dials us\n     - It hears"
    )


def _row(case: Case, outcomes: list[Outcome]) -> str:
    for cell in outcomes:
        if (cell.verdict, cell.told, cell.alert) != case.awaited(cell.we_dial, cell.version):
            direction = "dialled" if cell.we_dial else "calling"
            raise ValueError(f"{case.group}: {case.words} ({direction}, TLS {cell.version}) came to {cell.verdict}")
    cells = [case.words.replace("*", "\\*")]
    cells += [_both(outcomes, we_dial) for we_dial in (True, False)]
    cells.append(", ".join(dict.fromkeys(f"``{cell.alert}``" for cell in outcomes if cell.alert)))
    last = "\n" if case is CASES[-1] or CASES[CASES.index(case) + 1].group != case.group else ""
    return "   * - " + "\n     - ".join(cells).replace(" - \n", " -\n").rstrip() + last


def _both(outcomes: list[Outcome], we_dial: bool) -> str:
    """The verdicts over the two versions, as one where they are the same."""
    found = {cell.version: _words(cell) for cell in outcomes if cell.we_dial is we_dial}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return "; ".join(f"{words} (TLS {version})" for version, words in found.items())


def _words(cell: Outcome) -> str:
    return "accepted" if cell.verdict is None else f"``{cell.verdict.name}``"


def main(arguments: list[str] | None = None) -> int:
    """Write the page, or compare it."""
    parser = argparse.ArgumentParser(description="docs/certificates.rst from real handshakes")
    parser.add_argument("--check", action="store_true", help="compare only, and fail where it differs")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        text = page(lambda case: run(case, Path(folder)))
    if not options.check:
        PAGE.write_text(text, "utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text("utf-8") == text:
        return 0
    print("docs/certificates.rst is not what the handshakes yield: run tools/certificate_matrix.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
