"""A session as text, so that another process can take it up again (RFC 3261 section 12, row H33).

:class:`DialogState` is all that the other end of an established session relies on: the dialog, its session timer, and
what the peer has said of itself. As JSON it can lie in a file or in a database between two runs of a program.

What it holds is no secret by itself; but Call-ID and tags are all that a stranger needs to speak in a dialog whose
parties proved nothing to each other, so it belongs where the program's other private files are. Left out on purpose:
session descriptions, in which there may be keys of media (RFC 4568).
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Final, final

from sip_p2p.errors import InvalidOperation, MalformedMessage
from sip_p2p.sip.abnf import TOKEN
from sip_p2p.sip.dialog.capabilities import Capabilities
from sip_p2p.sip.dialog.dialog import Dialog
from sip_p2p.sip.dialog.session_timer import SessionTimer
from sip_p2p.sip.dialog.usage import InviteUsage, UsageState
from sip_p2p.sip.name_addr import parse_name_addr
from sip_p2p.sip.uri import SipUri, parse_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sip_p2p.sip.dialog.session_timer import SessionTimerSettings
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["LONGEST_STATE", "DialogState"]

LONGEST_STATE: Final = 65536
"""Characters; a longer text is no saved session."""

_FORMAT = "sip_p2p session"
_VERSION = 1
_LARGEST_CSEQ = 2**31 - 1
_SKIPPED = 1000
_TEXTS = ("call_id", "local_tag", "remote_tag", "local", "remote", "remote_target", "peer")
_FLAGS = ("is_caller", "is_near", "is_secure", "is_tls")
_FIELDS = frozenset(
    (*_TEXTS, *_FLAGS, "capabilities", "extra", "format", "local_cseq", "remote_cseq", "route_set", "saved", "timer",
     "version")
)  # fmt: skip


@final
class DialogState:
    """An established session, apart from the objects that act for it. Its attributes are those of
    :class:`~sip_p2p.sip.dialog.dialog.Dialog`, as texts and numbers, and:

    :ivar saved: when it was saved: seconds since 1970 by the wall clock.
    :ivar timer: what :meth:`SessionTimer.save() <sip_p2p.sip.dialog.session_timer.SessionTimer.save>` gave; empty for
        none.
    :ivar capabilities: what the peer had said of itself.
    :ivar extra: what the owner of the session wants to find again: names to texts.
    """

    __slots__ = (*_TEXTS, *_FLAGS, "capabilities", "extra", "local_cseq", "remote_cseq", "route_set", "saved", "timer")

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    remote_target: str
    peer: str
    is_caller: bool
    is_near: bool
    is_secure: bool
    is_tls: bool

    def __init__(self, dialog: Dialog, saved: float) -> None:
        """What *dialog* is at the wall clock's *saved*; :meth:`of` is the usual way in."""
        self.call_id = dialog.call_id
        self.local_tag = dialog.local_tag
        self.remote_tag = dialog.remote_tag
        self.local = dialog.local
        self.remote = dialog.remote
        self.remote_target = str(dialog.remote_target)
        self.peer = dialog.peer
        self.is_caller = dialog.is_caller
        self.is_near = dialog.is_near
        self.is_secure = dialog.is_secure
        self.is_tls = dialog.is_tls
        self.local_cseq = dialog.local_cseq
        self.remote_cseq = dialog.remote_cseq
        self.route_set = dialog.route_set
        self.saved = float(saved)
        self.timer: Mapping[str, object] = {}
        self.capabilities: Mapping[str, object] = {}
        self.extra: Mapping[str, str] = {}

    @classmethod
    def of(cls, usage: InviteUsage, saved: float, extra: Mapping[str, str] | None = None) -> DialogState:
        """What is to be saved of the session *usage*.

        :param saved: what the wall clock says, in seconds since 1970.
        :raises InvalidOperation: for one that is not established, or not any more: another process could not go on.
        """
        if usage.state is not UsageState.CONFIRMED:
            raise InvalidOperation(f"only an established session can be saved, and this one is {usage.state.value!r}")
        state = cls(usage.dialog, saved)
        if usage.session_timer is not None:
            state.timer = usage.session_timer.save()
        state.capabilities = usage.capabilities.save()
        state.extra = {} if extra is None else dict(extra)
        return state

    def has_expired(self, wall: float) -> bool:
        """Whether the session timer must have run out by *wall*, seconds since 1970, if nobody has refreshed it since
        (RFC 4028 section 10): the peer has hung up then, and there is nothing to take up again."""
        interval = self.timer.get("interval", 0)
        return type(interval) is int and 0 < interval < wall - self.saved

    def dialog(self) -> Dialog:
        """The dialog, for a process that takes it up again.

        Our next sequence number leaves a gap: requests that were sent after the session was saved have used up some,
        and section 12.2.2 lets a gap be of any size.

        :raises ValueError: when a part cannot be read; never for what :meth:`from_json` gave.
        """
        try:
            dialog = Dialog(
                self.call_id,
                self.local_tag,
                self.remote_tag,
                self.local,
                self.remote,
                self.is_caller,
                False,
                self.is_secure,
                min(self.local_cseq + _SKIPPED, max(self.local_cseq, _LARGEST_CSEQ - _SKIPPED)),
                self.remote_cseq,
                self.route_set,
                parse_uri(self.remote_target),
                self.peer,
                self.is_tls,
            )
        except MalformedMessage as error:
            raise ValueError(f"the target of the saved session: {error}") from None
        dialog.is_near = self.is_near
        return dialog

    def restore(
        self, core: UserAgentCore, profile: Profile, settings: SessionTimerSettings, now: float, user: object = None
    ) -> InviteUsage:
        """Take the session up again in *core*: from now on its dialog is found. The peer is to be told where we are by
        :meth:`InviteUsage.refresh() <sip_p2p.sip.dialog.usage.InviteUsage.refresh>`.

        :param profile: the party of ours in it.
        :param settings: what we want of its session timer, which starts anew.
        :param now: the core's time.
        :raises ValueError: when a part cannot be read.
        :raises InvalidOperation: when the core has that session already.
        """
        dialog = self.dialog()
        if core.dialogs.find(dialog.call_id, dialog.local_tag, dialog.remote_tag) is not None:
            raise InvalidOperation("the saved session is here already")
        # Whatever may fail comes before anybody can find the dialog.
        capabilities = Capabilities()
        capabilities.restore(self.capabilities)
        timer = SessionTimer(settings) if self.timer else None
        if timer is not None:
            timer.restore(self.timer, now)
        usage = InviteUsage.resumed(core, dialog, profile, user)
        usage.capabilities = capabilities
        usage.session_timer = timer
        usage.appoint()
        return usage

    def to_json(self) -> str:
        """The state as one line of JSON, to be read by :meth:`from_json` of this version and of later ones.

        :raises ValueError: when it is longer than :data:`LONGEST_STATE`.
        """
        parts: dict[str, object] = {
            "format": _FORMAT,
            "version": _VERSION,
            "call_id": self.call_id,
            "local_tag": self.local_tag,
            "remote_tag": self.remote_tag,
            "local": self.local,
            "remote": self.remote,
            "remote_target": self.remote_target,
            "peer": self.peer,
            "is_caller": self.is_caller,
            "is_near": self.is_near,
            "is_secure": self.is_secure,
            "is_tls": self.is_tls,
            "local_cseq": self.local_cseq,
            "remote_cseq": self.remote_cseq,
            "route_set": list(self.route_set),
            "saved": self.saved,
            "timer": dict(self.timer),
            "capabilities": dict(self.capabilities),
            "extra": dict(self.extra),
        }
        text = json.dumps(parts, allow_nan=False, separators=(",", ":"))
        if len(text) > LONGEST_STATE:
            raise ValueError(f"a session of {len(text)} characters is too long to be saved")
        return text

    @classmethod
    def from_json(cls, text: str) -> DialogState:
        """Read what :meth:`to_json` wrote. Everything is checked: the text may be from anywhere.

        :raises ValueError: when it is no saved session, or one of a later version; it says what is wrong.
        """
        parts = _parsed(text)
        state = cls.__new__(cls)
        for name in _TEXTS:
            setattr(state, name, _text(parts, name))
        for name in _FLAGS:
            setattr(state, name, _flag(parts, name))
        state.local_cseq = _number(parts, "local_cseq")
        state.remote_cseq = None if parts["remote_cseq"] is None else _number(parts, "remote_cseq")
        state.route_set = _routes(parts)
        state.saved = _time(parts)
        state.timer = _mapping(parts, "timer")
        state.capabilities = _mapping(parts, "capabilities")
        state.extra = {name: _line(value, f"extra {name!r:.32}") for name, value in _mapping(parts, "extra").items()}
        state._check()
        return state

    def _check(self) -> None:
        """Hold the parts against the grammar and against each other.

        :raises ValueError: as :meth:`from_json`.
        """
        if not self.call_id or " " in self.call_id:
            raise ValueError("call_id of the saved session is no Call-ID")
        for tag, may_lack in ((self.local_tag, False), (self.remote_tag, True)):
            if TOKEN.fullmatch(tag) is None and not (may_lack and not tag):
                raise ValueError(f"a tag of the saved session is none: {tag!r:.64}")
        try:
            for name, value in (("local", self.local), ("remote", self.remote)):
                if parse_name_addr(value, name).tag is not None:
                    raise ValueError(f"{name} of the saved session has a tag of its own")
                # An address whose URI cannot be read could not be told apart from others.
                parse_uri(parse_name_addr(value, name).uri_text)
            target = parse_uri(self.remote_target)
            uris = [parse_name_addr(route, "route_set").uri for route in self.route_set]
        except MalformedMessage as error:
            raise ValueError(f"the saved session: {error}") from None
        if (self.peer or self.is_secure) and not self.is_tls:
            raise ValueError("the saved session has what only TLS gives, and was without TLS")
        if self.is_secure and not all(isinstance(uri, SipUri) and uri.is_secure for uri in (target, *uris)):
            raise ValueError("the saved session is sips, and leads elsewhere (RFC 5630)")
        for part, said in (*self.timer.items(), *self.capabilities.items()):
            if not isinstance(said, int):
                _line(said, part)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DialogState):
            return NotImplemented
        return self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<DialogState {self.call_id} with {self.remote}>"


def _parsed(text: str) -> dict[str, object]:
    """The parts of *text*, all there, and of a version that we know.

    :raises ValueError: as :meth:`DialogState.from_json`.
    """
    if len(text) > LONGEST_STATE:
        raise ValueError(f"{len(text)} characters are no saved session")
    try:
        parts: object = json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("not a saved session: it is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not a saved session: {error}") from None
    if not isinstance(parts, dict) or parts.get("format") != _FORMAT:
        raise ValueError("not a saved session")
    version = parts.get("version")
    if type(version) is not int or version != _VERSION:
        raise ValueError(f"a session saved by another version: {version!r:.32}, and this one reads {_VERSION}")
    missing = _FIELDS - parts.keys()
    unknown = parts.keys() - _FIELDS
    if missing or unknown:
        raise ValueError(f"the saved session lacks {sorted(missing)} and has {sorted(unknown)!r:.128} besides")
    return parts


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON in which no name stands twice.

    :raises ValueError: when one does.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("not a saved session: a name stands twice")
    return found


def _line(value: object, name: str) -> str:
    """*value* as a text that can stand in a header field.

    :raises ValueError: when it is none.
    """
    if not isinstance(value, str):
        raise ValueError(f"{name} of the saved session is no text")
    if any(character in value for character in "\r\n\0"):
        raise ValueError(f"{name} of the saved session holds CR, LF or NUL")
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ValueError(f"{name} of the saved session has no UTF-8 form") from None
    return value


def _text(parts: Mapping[str, object], name: str) -> str:
    return _line(parts[name], name)


def _flag(parts: Mapping[str, object], name: str) -> bool:
    value = parts[name]
    if not isinstance(value, bool):
        raise ValueError(f"{name} of the saved session is neither true nor false")
    return value


def _number(parts: Mapping[str, object], name: str) -> int:
    value = parts[name]
    if type(value) is not int or not 0 <= value <= _LARGEST_CSEQ:
        raise ValueError(f"{name} of the saved session is no sequence number")
    return value


def _time(parts: Mapping[str, object]) -> float:
    value = parts["saved"]
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e12 or math.isnan(value):
        raise ValueError("saved is no time")
    return float(value)


def _routes(parts: Mapping[str, object]) -> tuple[str, ...]:
    value = parts["route_set"]
    if not isinstance(value, list):
        raise ValueError("route_set of the saved session is no list")
    return tuple(_line(route, "route_set") for route in value)


def _mapping(parts: Mapping[str, object], name: str) -> dict[str, object]:
    value = parts[name]
    if not isinstance(value, dict):
        raise ValueError(f"{name} of the saved session is no object")
    return value
