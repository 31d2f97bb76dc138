"""What an application of ours is made with: where it tells what it does, and what it was told on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from sip_p2p.service.happenings import Happenings
    from sip_p2p.service.json_lines import JsonLines
    from sip_p2p.service.settings.options import Options
    from sip_p2p.service.webhook.deliverer import Deliverer

__all__ = ["ApplicationSetting"]


class ApplicationSetting(NamedTuple):
    """One argument for every built-in application; a class of a user's own is made without any.

    :ivar happenings: where what happens is told; what an application does by itself belongs there too.
    :ivar lines: where the applications that print write, one JSON object a line.
    :ivar options: the command line, checked.
    :ivar reactor: the clock.
    :ivar webhook: what goes to the hook of ``--webhook``; None without one.
    """

    happenings: Happenings
    lines: JsonLines
    options: Options
    reactor: IReactorTime
    webhook: Deliverer | None = None
