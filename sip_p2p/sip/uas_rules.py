"""What a UAS looks at before an application sees a request (RFC 3261 sections 8.2 and 12.2.2).

:class:`UasRules` walks section 8.2 in its order, and answers, through the core, whatever breaks one of its rules. A
request with a To tag belongs to a dialog: it is looked for first, and a stranger to it is told what anybody is told who
names none, 481.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, final

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.body import content_codings, parse_media_type
from sip_p2p.sip.counters import KNOWN_METHODS
from sip_p2p.sip.fields import parse_contact, parse_max_forwards, parse_name_addrs, parse_tokens
from sip_p2p.sip.preferences import has_preferences, is_unwanted
from sip_p2p.sip.readings import LONGEST_KEY, could_accept, is_optional, short_key

if TYPE_CHECKING:
    from sip_p2p.sip.dialog.dialog import Dialog
    from sip_p2p.sip.flow import Flow
    from sip_p2p.sip.message import Request
    from sip_p2p.sip.profile import Profile
    from sip_p2p.sip.transaction.layer import ServerTransaction
    from sip_p2p.sip.user_agent import UserAgentCore

__all__ = ["UasRules"]

_SINGLE_FIELDS = frozenset(
    """
    Call-ID Content-Encoding Content-Length Content-Type CSeq Date Event Expires From Max-Forwards Min-Expires
    MIME-Version Organization Priority Reply-To Retry-After Server Subject Subscription-State Suppress-If-Match
    Timestamp To User-Agent
    """.split()
)
_CHECKED_FIELDS = frozenset(("Contact", "Join", "Max-Forwards", "Record-Route", "Replaces", "Route"))
_IN_DIALOGS_ONLY = frozenset(("BYE", "INFO", "PRACK", "UPDATE"))


@final
class UasRules:
    """The rules of one core, and what it has to remember for them.

    :ivar merging: the requests that are known again when they come by another path, each until when, and by which
        transaction; to look at, not to change.
    """

    __slots__ = ("_core", "_limit", "merging")

    def __init__(self, core: UserAgentCore, merging_limit: int) -> None:
        """
        :param merging_limit: how many requests are remembered, to be known again when they come by another path.
        """
        self._core = core
        self.merging: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._limit = merging_limit

    def check_syntax(self, request: Request) -> None:
        """Read what every request must have (section 8.1.1), and what would mislead if it were wrong.

        :raises MalformedMessage: with the status to answer.
        """
        names, values = request.headers.parallel_lists()
        if request.read_mandatory() is None:
            for name in _SINGLE_FIELDS:
                if names.count(name) > 1:
                    raise MalformedMessage(f"{name} stands {names.count(name)} times")
            request.from_  # noqa: B018 - reading it is the check
            request.to  # noqa: B018
        cseq = request.cseq
        if cseq.method != request.method:
            raise MalformedMessage(f"CSeq names {cseq.method!r} and the request line {request.method!r}")
        call_id = request.call_id
        if not call_id or " " in call_id or not call_id.isprintable():
            raise MalformedMessage("Call-ID is empty, or holds what no word may hold")
        request.uri  # noqa: B018
        for index, name in enumerate(names):
            if name in _CHECKED_FIELDS:
                if name == "Max-Forwards":
                    parse_max_forwards(values[index])
                elif name == "Contact":
                    parse_contact(values[index])
                elif name in ("Join", "Replaces"):
                    if request.method not in ("ACK", "INVITE"):
                        # RFC 3891 section 3, RFC 3911 section 4; an ACK has no answer that could say so.
                        raise MalformedMessage(f"{name} stands in an INVITE only")
                else:
                    parse_name_addrs(values[index], name)

    def admit(
        self, transaction: ServerTransaction, request: Request, flow: Flow, now: float
    ) -> Profile | Dialog | None:
        """Walk section 8.2 in order.

        :returns: the party that is to answer, or the dialog that the request belongs to; None where the answer has been
            given.
        :raises MalformedMessage: with the status to answer.
        """
        core = self._core
        core.directory.check_scheme(request)
        has_tag = transaction.echo.has_to_tag
        dialog = self._dialog_of(request, flow) if has_tag else None
        # 12.2.2: in a dialog its own party answers, whatever the Request-URI has become on the way.
        profile = (None if dialog is None else dialog.profile) or core.directory.find(request)
        if profile is None:
            core.answer(transaction, 404, now)
            return None
        is_asked = flow.sender_check is not None or profile.authenticator is not None
        if is_asked and not self._knows_sender(transaction, request, flow, profile, dialog, now):
            return None
        method = request.method
        if dialog is None:
            # Most are for all who may ask, which is seen at once.
            refused = self._refusal_outside(has_tag, method, profile) if has_tag or not profile.allows(method) else 0
            if refused:
                allow = (("Allow", profile.allow_value),) if refused in (405, 501) else ()
                core.answer(transaction, refused, now, extra=allow)
                return None
            if has_preferences(request.headers) and is_unwanted(request.headers, profile.feature_set()):
                # RFC 3841 section 6: as if this party were the only one that a proxy could choose.
                core.answer(transaction, 480, now, warning="the caller would rather reach nobody than this party")
                return None
        if self._is_merged(transaction, request, now):
            core.counters.merged_requests += 1
            core.answer(transaction, 482, now)
            return None
        if dialog is not None:
            refused = dialog.check(request, flow)
            if refused:
                core.answer(transaction, refused, now)
                return None
        if not self._understands(transaction, request, profile, now):
            return None
        if method == "OPTIONS" and not profile.allows(method):
            # 12.2.2: in a dialog, what changes nothing of it is answered as outside of one.
            flow.presents(request.via)
            self._answer_options(transaction, profile, now)
            return None
        return profile if dialog is None else dialog

    def _dialog_of(self, request: Request, flow: Flow) -> Dialog | None:
        """12.2.2: a To tag names a dialog; a stranger to it learns nothing of it.

        Many may come by one proxy whose word for From is taken, and then From tells them apart: who has not agreed on
        anything else keeps it (12.2.1.1, RFC 4916 section 4.4).
        """
        core = self._core
        dialog = core.dialogs.find_for(request)
        if dialog is None and request.method == "NOTIFY" and len(core.awaiting):
            # RFC 6665 section 4.4.1: it may be what makes its dialog.
            return core.awaiting.dialog_of(request, flow)
        if dialog is None:
            return None
        is_from_all = bool(flow.peer) and flow.sender_check is None
        if not dialog.may_come_from(flow) or (is_from_all and not dialog.is_from_peer(request)):
            self._core.counters.foreign_requests += 1
            return None
        return dialog

    def _refusal_outside(self, has_tag: bool, method: str, profile: Profile) -> int:
        """8.2.1: the method comes first. In a dialog any may have a meaning, and whoever has the dialog judges it.

        :returns: the status for a request that belongs to no dialog; 0 where it needs none.
        """
        if method == "NOTIFY" and has_tag:
            # RFC 6665 section 4.1.3: there is no such subscription, or none any more.
            return 481
        is_for_all = profile.allows(method) or method == "OPTIONS"
        is_for_dialogs = method in profile.in_dialogs and (has_tag or method in _IN_DIALOGS_ONLY)
        if not is_for_all and not is_for_dialogs:
            return 405 if method in KNOWN_METHODS else 501
        # 12.2.2: there is no such dialog. 15.1.2 (BYE), RFC 3262 section 3 (PRACK), RFC 3311 section 5.2 (UPDATE), RFC
        # 6086 section 4.2.2 (INFO): nor without a tag, where the method means something in a dialog only.
        return 481 if has_tag or not is_for_all else 0

    def forget(self, transaction: ServerTransaction) -> None:
        """*transaction* has its final answer, and came where no second path leads, or may come again."""
        self.merging.pop(transaction.merge_key, None)

    def _knows_sender(
        self,
        transaction: ServerTransaction,
        request: Request,
        flow: Flow,
        profile: Profile,
        dialog: Dialog | None,
        now: float,
    ) -> bool:
        """Whether whoever sent *request* may speak in the name that it gives, and has shown what the party wants."""
        core = self._core
        # In a dialog the peer goes by the name that the dialog was made with: judged at that time, or chosen by us.
        if flow.sender_check is not None and (dialog is None or not dialog.is_from_peer(request)):
            refusal = flow.sender_check.refusal(request, profile)
            if refusal:
                core.answer(transaction, 403, now, warning=refusal)
                return False
        if profile.authenticator is not None:
            judgement = profile.authenticator.judge(request, flow, now)
            if judgement.status:
                core.answer(transaction, judgement.status, now, extra=judgement.fields)
                return False
            transaction.judgement = judgement
            if dialog is not None and dialog.username and judgement.username not in ("", dialog.username):
                # Another user, who knows the tags and a password of his own, learns nothing of it.
                core.counters.foreign_requests += 1
                core.answer(transaction, 481, now)
                return False
        return True

    def _is_merged(self, transaction: ServerTransaction, request: Request, now: float) -> bool:
        """8.2.2.2: the same request by another path, while the first is still being worked on."""
        merging = self.merging
        while merging:
            oldest = next(iter(merging))
            if merging[oldest][0] > now:
                break
            del merging[oldest]
        # Two strangers' requests are never merged: the key names whose request it is, as far as that was verified.
        cseq = request.cseq
        flow = transaction.flow
        key = f"{request.call_id}\n{cseq.number} {cseq.method}\n{request.from_.tag}\n{flow.peer}"
        whose = transaction.key
        if len(key) > LONGEST_KEY:
            key = short_key(key)
        if len(whose) > LONGEST_KEY:
            whose = short_key(whose)
        transaction.merge_key = key
        present = merging.get(key)
        if present is not None and present[1] != whose:
            return True
        if len(merging) >= self._limit:
            merging.popitem(last=False)
        merging[key] = (now + self._core.layer.timers.timeout, whose)
        return False

    def _understands(self, transaction: ServerTransaction, request: Request, profile: Profile, now: float) -> bool:
        """Sections 8.2.2.3 and 8.2.3: extensions that are required, and what the body is."""
        core = self._core
        headers = request.headers
        names, _ = headers.parallel_lists()
        if "Require" in names:
            unsupported = [
                tag
                for value in headers.get_all("Require")
                for tag in parse_tokens(value, "Require")
                if tag.lower() not in profile.supported
            ]
            if unsupported:
                core.answer(transaction, 420, now, extra=(("Unsupported", ", ".join(unsupported)),))
                return False
        if request.method == "INVITE" and not could_accept(headers):
            core.answer(transaction, 406, now, warning="no session description is acceptable to the caller")
            return False
        if not request.body:
            return True
        is_encoded = "Content-Encoding" in names and bool(content_codings(headers.get_all("Content-Encoding")))
        if is_encoded and not is_optional(headers):
            core.answer(transaction, 415, now, extra=(("Accept-Encoding", "identity"),))
            return False
        content_type = headers.get("Content-Type")
        if content_type is None:
            raise MalformedMessage("a body without Content-Type")
        media_type = parse_media_type(content_type)
        if not profile.accepts(request.method, media_type.essence) and not is_optional(headers):
            core.answer(transaction, 415, now, extra=(("Accept", profile.accept_value_for(request.method)),))
            return False
        return True

    def _answer_options(self, transaction: ServerTransaction, profile: Profile, now: float) -> None:
        """11.2: what the party can do."""
        events = (("Allow-Events", ", ".join(profile.event_packages)),) if profile.event_packages else ()
        extra = (
            ("Allow", profile.allow_value),
            ("Accept", profile.accept_value),
            ("Accept-Encoding", "identity"),
            # Nothing here depends on a language (20.3).
            ("Accept-Language", "*"),
            # 20.37: an empty Supported says that there are no extensions; a missing one says nothing.
            ("Supported", profile.supported_value),
            *events,
        )
        self._core.answer(transaction, 200, now, extra=extra)
