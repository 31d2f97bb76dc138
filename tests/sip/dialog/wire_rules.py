"""What nobody may ever put on the wire, however strange the course of a call: checked message by message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sip_p2p.sip.message import Request

if TYPE_CHECKING:
    from sip_p2p.sip.message import Response
    from tests.sip.dialog.player import Player

__all__ = ["WireRules"]

_LONGEST = 64 * 0.5


class WireRules:
    """Watches one world.

    * The sequence numbers of requests in a dialog rise (RFC 3261 section 12.2.1.1); of two INVITEs of one side the
      first has its final response before the second goes out (section 14.1).
    * CANCEL follows a provisional response and precedes the final one (section 9.1).
    * A transaction has one final response, and nothing provisional after it (section 17.2).
    * Whoever accepted does not hang up before the ACK came, or can come no more (section 15).
    * Reliable responses are numbered without gaps, and none goes out before the first one was acknowledged (RFC 3262
      section 3).
    * Requests and responses that refresh a target have a Contact (section 12.1.1).
    """

    def __init__(self) -> None:
        # By who, Call-ID and peer's tag: the last sequence number, and its branch.
        self._numbers: dict[tuple[object, str, str], tuple[int, str]] = {}
        # By who and dialog, the INVITE without a final response.
        self._inviting: dict[tuple[object, str, str], str] = {}
        # By who and branch: the INVITEs that came outside of any dialog.
        self._called: set[tuple[object, str]] = set()
        # By branch, when the CANCEL went out.
        self._cancelled: dict[str, float] = {}
        # By who, branch and method: the last status that arrived.
        self._heard: dict[tuple[object, str, str], int] = {}
        # By who, branch and method: the final status that was sent, and when it was sent first.
        self._final: dict[tuple[object, str, str], tuple[int, float]] = {}
        # By who, Call-ID and own tag: when the 2xx that opens the session went out; None once its ACK came.
        self._accepted: dict[tuple[object, str, str], float | None] = {}
        # By who, branch and own tag: the last RSeq; whether the first was acknowledged.
        self._rseq: dict[tuple[object, str, str], int] = {}

    def forget(self, player: Player) -> None:
        """*player* is no more; whoever comes in its place has its own tags."""
        for book in (self._numbers, self._inviting, self._heard, self._final, self._accepted, self._rseq):
            for key in [key for key in book if key[0] is player]:
                del book[key]  # type: ignore[attr-defined]

    def sent(self, player: Player, message: Request | Response, now: float) -> None:
        """*player* says *message*."""
        if isinstance(message, Request):
            self._request_sent(player, message, now)
        else:
            self._response_sent(player, message, now)

    def _request_sent(self, player: Player, request: Request, now: float) -> None:
        method, branch, call_id = request.method, request.via.branch or "", request.call_id
        if method == "ACK":
            return
        if method == "CANCEL":
            if branch not in self._cancelled:
                status = self._heard.get((player, branch, "INVITE"), 0)
                assert 100 <= status < 200, f"CANCEL after {status}"
                self._cancelled[branch] = now
            return
        if method in ("INVITE", "UPDATE"):
            assert "Contact" in request.headers, f"{method} without a Contact"
        tag = request.to.tag
        if tag is None:
            return
        dialog = (player, call_id, f"{request.from_.tag} {tag}")
        number, before = self._numbers.get(dialog, (0, ""))
        if before != branch and (player, branch, "sent") not in self._heard:
            assert request.cseq.number > number, f"{method} {request.cseq.number} after {number}"
            self._numbers[dialog] = (request.cseq.number, branch)
            self._heard[player, branch, "sent"] = 1
            if method == "INVITE":
                pending = self._inviting.get(dialog)
                assert pending is None or self._is_over(player, pending, now), "two INVITEs at a time"
                self._inviting[dialog] = branch
        if method == "BYE":
            own = (player, call_id, request.from_.tag or "")
            since = self._accepted.get(own)
            assert since is None or now - since >= _LONGEST - 0.01, "BYE before the ACK"

    def _is_over(self, player: Player, branch: str, now: float) -> bool:
        """9.1: with its final response, or a while after the CANCEL."""
        is_answered = self._heard.get((player, branch, "INVITE"), 0) >= 200
        return is_answered or now - self._cancelled.get(branch, now) >= _LONGEST

    def flow_lost(self, player: Player) -> None:
        """What *player* had asked on its flow has no answer any more, and what it was asked is forgotten."""
        for book in (self._inviting, self._final, self._rseq):
            for key in [key for key in book if key[0] is player]:
                del book[key]  # type: ignore[attr-defined]

    def _response_sent(self, player: Player, response: Response, now: float) -> None:
        branch, method, status = response.via.branch or "", response.cseq.method, response.status
        key = (player, branch, method)
        final = self._final.get(key)
        if status >= 200:
            if final is None or now - final[1] >= _LONGEST:
                # 17.2.2: after 64*T1 the transaction is forgotten; the network may know more of it.
                self._final[key] = (status, now)
            else:
                assert final[0] == status, f"{status} after {final[0]} to {method}"
        else:
            assert final is None, f"{status} after {final[0]} to {method}"
        tag = response.to.tag or ""
        if method == "INVITE" and 100 < status < 300:
            assert "Contact" in response.headers, f"{status} without a Contact"
            assert tag, f"{status} without a tag"
        if method == "INVITE" and 200 <= status < 300 and (player, branch) in self._called:
            self._accepted.setdefault((player, response.call_id, tag), now)
        rseq = response.headers.get("RSeq")
        if rseq is not None:
            own = (player, branch, tag)
            number = int(rseq)
            last = self._rseq.get(own)
            assert last is None or number in (last, last + 1), f"RSeq {number} after {last}"
            if last is not None and number > last:
                assert (player, f"{response.call_id} {tag} {last}", "PRACK") in self._heard, "two at a time"
            self._rseq[own] = number

    def arrived(self, player: Player, message: Request | Response, now: float) -> None:
        """*message* reaches *player*."""
        if not isinstance(message, Request):
            key = (player, message.via.branch or "", message.cseq.method)
            self._heard[key] = max(self._heard.get(key, 0), message.status)
        elif message.method == "ACK":
            own = (player, message.call_id, message.to.tag or "")
            if own in self._accepted:
                self._accepted[own] = None
        elif message.method == "INVITE" and message.to.tag is None:
            self._called.add((player, message.via.branch or ""))
        elif message.method == "PRACK":
            number = message.headers["RAck"].split()[0]
            self._heard[player, f"{message.call_id} {message.to.tag} {number}", "PRACK"] = 1
