"""Writes the tables of docs/limits.rst from the classes that hold the limits: name, default, what happens, metric.

::

    python tools/limits_table.py            writes the page
    python tools/limits_table.py --check    fails when the page is not what the classes say
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from pathlib import Path

__all__ = ["main", "page"]

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from sip_p2p.endpoint.accounts import COUNTED_LIMITS, OTHER_FIGURES  # noqa: E402
from sip_p2p.service.settings.peer_options import described  # noqa: E402
from sip_p2p.sip.limits import MessageLimits  # noqa: E402
from sip_p2p.transport.limits import Limits  # noqa: E402

_OCTETS = re.compile("octets|buffer|^(message|head|body|line)$")

PAGE = ROOT / "docs" / "limits.rst"

INTRODUCTION = """\
Limits
======

Everything that a peer can make a party hold or wait for has a bound with a name. Written by ``tools/limits_table.py``
from :class:`~sip_p2p.transport.limits.Limits` and :class:`~sip_p2p.sip.limits.MessageLimits`; a test holds page and
classes against each other.

The bounds of one connection manager are one object, which does not change; others are set at any time. What belongs to
one connection stays as it was when the connection was opened; what counts all connections together counts by the new
bounds at once.

.. code-block:: python

    from sip_p2p import Limits, MessageLimits, RealTimeServerTlsConnectionManager


    def make(reactor):
        limits = Limits(idle_timeout=900, message=MessageLimits(body=16384))
        return RealTimeServerTlsConnectionManager(reactor, certificate="alice.pem", trust="ca.pem", limits=limits)


    def let_them_stay_longer(manager):
        manager.limits = manager.limits.replace(idle_timeout=3600)

The service takes each of them as ``--limit name=value``. ``manager.metrics()`` tells how often a bound was reached,
under the name in the last column. A bound without a figure to itself has there the one in which it shows, among other
things.
"""

MESSAGE = """
Sizes of one message
--------------------

In octets, or a count; checked while the octets arrive, before anything is kept of them. ``core_unparsable`` counts what
was over one of them, and ``responses_out_413``, ``responses_out_414``, ``responses_out_513`` and ``responses_out_400``
what it was answered.
"""

REST = """
Connections, transactions, time
-------------------------------

Times are in seconds, sizes in octets.
"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, MESSAGE, *_table(MessageLimits(), has_metric=False)]
    return "\n".join([*parts, REST, *_table(Limits(), has_metric=True)])


def _metric(name: str) -> str:
    return f"``limit_{name}``" if name in COUNTED_LIMITS else f"``{OTHER_FIGURES[name]}``"


def _table(limits: Limits | MessageLimits, *, has_metric: bool) -> list[str]:
    kind = type(limits)
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {'22 14 46 22' if has_metric else '16 14 70'}", ""]
    lines += ["   * - limit", "     - default", "     - what it bounds, and what happens there"]
    lines += ["     - metric"] if has_metric else []
    for name, text in _described(kind).items():
        if name == "message" and kind is Limits:
            continue
        default = "four fifths of the descriptors" if name == "connections" else _number(name, getattr(limits, name))
        lines += [f"   * - ``{name}``", f"     - {default}", _wrapped(text)]
        lines += [f"     - {_metric(name)}".rstrip()] if has_metric else []
    return [*lines, ""]


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, initial_indent="     - ", subsequent_indent="       ", break_on_hyphens=False)


def _described(kind: type[Limits] | type[MessageLimits]) -> dict[str, str]:
    """Each limit of *kind*, as its docstring describes it."""
    found = {name: words[0].upper() + words[1:] for name, words in described(kind).items()}
    missing = set(kind.__slots__) - set(found)
    if missing:
        raise ValueError(f"{kind.__name__} does not say what these are: {sorted(missing)}")
    return found


def _number(name: str, value: float) -> str:
    if isinstance(value, int) and _OCTETS.search(name) and value >= 4096:
        for size, unit in ((1024 * 1024, "MiB"), (1024, "KiB")):
            if value % size == 0:
                return f"{value // size:,} {unit}"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def main(arguments: list[str]) -> int:
    """Write the page, or check it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="fail when the page is not what it should be")
    options = parser.parse_args(arguments)
    text = page()
    if options.check:
        if PAGE.read_text("utf-8") == text:
            return 0
        print(f"{PAGE.relative_to(ROOT)} is not what the classes say: run python tools/limits_table.py")
        return 1
    PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
