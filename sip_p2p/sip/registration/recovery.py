"""How long to wait before a flow to a registrar, or a registration over it, is tried again (RFC 5626 section 4.5).

After each failure in a row the upper bound doubles, up to a longest, and the wait is drawn between half of it and all
of it. The first step is short where nothing else reaches the party, and longer where another flow still does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from sip_p2p.sip.tokens import TokenSource

__all__ = ["FlowRecovery"]

_LONGEST = 86400.0
_STEPS = 1 << 20


@final
class FlowRecovery:
    """How a lost registration is made anew; the defaults are those of RFC 5626 section 4.5.

    :ivar base: what is doubled where no flow is left, in seconds.
    :ivar base_with_others: what is doubled where another flow of the registration still serves.
    :ivar longest: the most that is ever waited, unless the registrar asks for more by Retry-After.
    :ivar stable: for how long a flow has to have served before its loss counts as a first one, and is made good at
        once.
    """

    __slots__ = ("base", "base_with_others", "longest", "stable")

    def __init__(
        self, base: float = 30.0, base_with_others: float = 90.0, longest: float = 1800.0, stable: float = 120.0
    ) -> None:
        """
        :raises ValueError: for a time that is not above 0, or over a day.
        """
        named = (
            ("base", base),
            ("base_with_others", base_with_others),
            ("longest", longest),
            ("stable", stable),
        )
        for name, value in named:
            # Written so that a NaN is refused as well.
            if not 0 < value <= _LONGEST:
                raise ValueError(f"{name}={value}: more than 0 seconds, and a day at most")
        self.base = base
        self.base_with_others = base_with_others
        self.longest = longest
        self.stable = stable

    def wait(self, failures: int, has_others: bool, tokens: TokenSource) -> float:
        """For how many seconds to leave it alone after so many *failures* in a row; 0 after none.

        :param has_others: whether another flow of the registration serves.
        :param tokens: where chance comes from.
        """
        if failures <= 0:
            return 0.0
        base = self.base_with_others if has_others else self.base
        # More doublings than these reach any bound.
        upper = min(self.longest, base * 2.0 ** min(failures, 32))
        return upper * (0.5 + 0.5 * tokens.number(_STEPS) / _STEPS)

    def __repr__(self) -> str:
        return f"<FlowRecovery {self.base:g} s, {self.base_with_others:g} s, at most {self.longest:g} s>"
