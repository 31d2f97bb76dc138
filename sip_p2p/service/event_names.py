"""The names of all events that a service tells of by itself, for whoever waits for one of them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["EVENTS", "strangers"]

EVENTS: frozenset[str] = frozenset(
    """
    started message request session session-state session-failed echoed not-echoed echo-failed forwarded flow-opened
    flow-lost throttled tls-failure state registration listener-lost addresses-changed certificate-expiring overload
    reloaded stopping stopped transaction webhook-failed webhook-lost webhook-state subscription subscription-state
    notification subscriber subscriber-state publication publication-state referral referral-state outbox
    """.split()
)
"""All of them; an application of one's own may tell others besides."""


def strangers(names: Iterable[str]) -> list[str]:
    """Those of *names* that nothing here ever tells, each in words, with what may have been meant."""
    said = []
    for name in sorted(set(names) - EVENTS):
        meant = difflib.get_close_matches(name, sorted(EVENTS), 1)
        said.append(f"{name} (is {meant[0]} meant?)" if meant else name)
    return said
