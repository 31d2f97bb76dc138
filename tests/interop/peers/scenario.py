"""A SIPp scenario written step by step: what SIPp says, what it waits for, and what that must look like.

SIPp plays scenarios in XML, in which every line of every message stands. Those of calls are made of the same few lines,
so they are written here as they are told: ``gets`` a request or a response, ``answers`` a request that it got, ``asks``
with a request of its own. A step that is not met fails the call, and with it SIPp.

What a request that came says of itself is kept under its name (``INVITE`` unless told otherwise), so that it can be
answered long after others have come. SIPp's own words in brackets, such as ``[local_port]``, work in every line.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ANSWER", "OFFER", "Scenario", "session_description"]

_HEAD = '<?xml version="1.0" encoding="UTF-8" ?>\n<!DOCTYPE scenario SYSTEM "sipp.dtd">\n<scenario name="call">\n'
_OWN = "sip:sipp@[local_ip]:[local_port]"


def session_description(port: int, direction: str = "sendrecv", version: int = 1, user: str = "-") -> str:
    """A description of one stream of speech, as softphones write it."""
    lines = (
        "v=0",
        f"o={user} 20518 {version} IN IP4 127.0.0.1",
        "s=-",
        "c=IN IP4 127.0.0.1",
        "t=0 0",
        f"m=audio {port} RTP/AVP 0 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:101 telephone-event/8000",
        f"a={direction}",
    )
    return "".join(f"{line}\r\n" for line in lines)


OFFER = session_description(40000)
ANSWER = session_description(50000, user="answering")


class Scenario:
    """The steps of one call.

    :ivar is_caller: whether SIPp begins.
    :ivar contact: the URI of SIPp's Contact.
    """

    def __init__(self, uri: str = "", contact: str = f"{_OWN};transport=[transport]") -> None:
        """
        :param uri: whom SIPp calls; empty where it is called.
        """
        self.is_caller = bool(uri)
        self.contact = contact
        self._uri = uri
        self._steps: list[str] = []
        self._variables: list[str] = []
        self._stands = False

    def __str__(self) -> str:
        """The scenario as SIPp reads it."""
        names = ",".join(dict.fromkeys(self._variables))
        reference = f'<Reference variables="{names}"/>\n' if names else ""
        return f"{_HEAD}{''.join(self._steps)}{reference}</scenario>\n"

    # -- what comes ----------------------------------------------------------------------------------------------------

    def gets(
        self,
        what: str | int,
        *,
        of: str = "INVITE",
        name: str = "",
        wants: Mapping[str, str] | None = None,
        lacks: Iterable[str] = (),
        keeps: Mapping[str, str] | None = None,
        optional: bool = False,
        dialog: str = "",
        seconds: float = 0,
        challenges: bool = False,
    ) -> Scenario:
        """Wait for a request or a response.

        :param what: its method or its status.
        :param of: the method of the request that a response belongs to.
        :param name: under which a request is remembered; by default its method.
        :param wants: header field -> what its value must match; ``""`` stands for the whole message.
        :param lacks: header fields that it must not have.
        :param keeps: header field -> the name under which its value is kept, for lines such as ``RAck:[$name]``.
        :param optional: whether the next step may come instead.
        :param dialog: the name under which the dialog is remembered that this begins or changes; empty for the only
            one.
        :param seconds: how long to wait at most; 0 for as long as SIPp runs.
        :param challenges: whether the line ``[authentication]`` answers what this response asks for.
        """
        is_request = isinstance(what, str)
        key = name or str(what)
        actions: list[str] = []
        if is_request:
            for part, header in (("via", "Via:"), ("from", "From:"), ("to", "To:"), ("cseq", "CSeq:")):
                actions.append(self._keep(".*", header, f"{part}{key}"))
        elif not optional:
            actions.append(self._check("CSeq", f" {of}$", "cseq"))
            if of == "INVITE":
                actions.append(self._keep(".*", "To:", f"peer{dialog}"))
                self._stands = self._stands or what // 100 == 2
        if what == "SUBSCRIBE" and not name:
            actions.append(self._keep("<([^>]+)>", "Contact:", "brackets", "targetSUBSCRIBE"))
            actions.append(self._keep(".*", "Event:", "event"))
        if what in ("INVITE", "UPDATE") or (not is_request and of == "INVITE" and 101 <= int(what) < 300):
            actions.append(self._keep("<([^>]+)>", "Contact:", "brackets", f"target{dialog}"))
        for number, (header, pattern) in enumerate((wants or {}).items()):
            actions.append(self._check(header, pattern, str(number)))
        for header, kept in (keeps or {}).items():
            actions.append(self._keep(".*", f"{header}:", kept))
        for header in lacks:
            variable = self._variable("lacked")
            where = f'search_in="hdr" header="{header}:"'
            actions.append(f'<ereg regexp="." {where} check_it_inverse="true" assign_to="{variable}"/>')
        kind = "request" if is_request else "response"
        more = ' optional="true"' if optional else ""
        more += f' timeout="{int(seconds * 1000)}"' if seconds else ""
        more += ' auth="true"' if challenges else ""
        taken = f"<action>{''.join(actions)}</action>" if actions and not optional else ""
        self._steps.append(f'<recv {kind}="{what}"{more}>{taken}</recv>\n')
        return self

    def _keep(self, pattern: str, header: str, *variables: str) -> str:
        names = ",".join(self._variable(name) for name in variables)
        return f'<ereg regexp="{escape(pattern)}" search_in="hdr" header="{header}" assign_to="{names}"/>'

    def _check(self, header: str, pattern: str, number: str) -> str:
        where = f'search_in="hdr" header="{header}:"' if header else 'search_in="msg"'
        name = self._variable(f"wanted{number}")
        return f'<ereg regexp="{escape(pattern)}" {where} check_it="true" assign_to="{name}"/>'

    def _variable(self, name: str) -> str:
        name = "".join(character for character in name if character.isalnum())
        self._variables.append(name)
        return name

    # -- what it says --------------------------------------------------------------------------------------------------

    def answers(
        self,
        status: int,
        request: str = "INVITE",
        *,
        tag: str = "sipp",
        lines: Iterable[str] = (),
        body: str = "",
        contact: bool = True,
    ) -> Scenario:
        """Answer the request that is remembered as *request*.

        :param tag: that of To, where the request had none and the response is not 100; empty for none.
        """
        key = "".join(character for character in request if character.isalnum())
        begins = not self.is_caller and request in ("INVITE", "SUBSCRIBE")
        head = [
            f"SIP/2.0 {status} SIPp",
            f"Via:[$via{key}]",
            f"From:[$from{key}]",
            f"To:[$to{key}]" + (f";tag={tag}[call_number]" if begins and tag and status > 100 else ""),
            "Call-ID: [call_id]",
            f"CSeq:[$cseq{key}]",
        ]
        if contact and 101 <= status < 300:
            head.append(f"Contact: <{self.contact}>")
        return self._says([*head, *lines], body)

    def asks(
        self,
        method: str,
        number: int,
        *,
        tag: str = "sipp",
        dialog: str = "",
        branch: str = "",
        lines: Iterable[str] = (),
        body: str = "",
    ) -> Scenario:
        """Send a request of its own.

        :param number: that of CSeq.
        :param tag: its own.
        :param dialog: which dialog it belongs to; empty for the only one.
        :param branch: names the transaction where another request belongs to the same one.
        """
        # What belongs to the first INVITE goes where that went.
        outside = not self._stands and (
            method in ("INVITE", "CANCEL", "SUBSCRIBE", "PUBLISH", "MESSAGE") or (method == "ACK" and bool(branch))
        )
        mine = f"<{_OWN}>;tag={tag}[call_number]" if self.is_caller else f"[$toINVITE];tag={tag}[call_number]"
        peer = f"[$peer{dialog}]" if self.is_caller else "[$fromINVITE]"
        uri = f"[$target{dialog}]"
        if self.is_caller and outside:
            uri = self._uri
            peer = f" <{self._uri}>" if method != "ACK" else peer
        name = branch or f"{method}{number}{dialog}"
        head = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK[pid]x[call_number]x{name}",
            "Max-Forwards: 70",
            f"From: {mine}",
            f"To:{peer}",
            "Call-ID: [call_id]",
            f"CSeq: {number} {method}",
        ]
        if method in ("INVITE", "UPDATE", "SUBSCRIBE"):
            head.append(f"Contact: <{self.contact}>")
        return self._says([*head, *lines], body, again=method != "ACK")

    def notifies(
        self,
        number: int,
        state: str,
        *,
        lines: Iterable[str] = (),
        body: str = "",
        tag: str = "sipp",
        status: int = 200,
    ) -> Scenario:
        """Tell who has subscribed, and wait for the answer.

        :param number: that of CSeq.
        :param state: what Subscription-State says.
        :param lines: the type of *body* among them.
        :param tag: that of From: each is a notifier of its own, where the SUBSCRIBE was forked.
        :param status: that of the answer.
        """
        head = [
            "NOTIFY [$targetSUBSCRIBE] SIP/2.0",
            f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=z9hG4bK[pid]x[call_number]x{tag}{number}",
            "Max-Forwards: 70",
            f"From:[$toSUBSCRIBE];tag={tag}[call_number]",
            "To:[$fromSUBSCRIBE]",
            "Call-ID: [call_id]",
            f"CSeq: {number} NOTIFY",
            f"Contact: <{self.contact}>",
            "Event:[$event]",
            f"Subscription-State: {state}",
        ]
        return self._says([*head, *lines], body, again=True).gets(status, of="NOTIFY")

    def _says(self, lines: list[str], body: str, again: bool = False) -> Scenario:
        if body:
            lines = [*lines, "Content-Type: application/sdp"] if not _has_type(lines) else lines
        text = "\n".join([*lines, "Content-Length: [len]", "", *body.replace("\r\n", "\n").splitlines()])
        # SIPp does so by UDP alone.
        repeated = ' retrans="500"' if again else ""
        self._steps.append(f"<send{repeated}>\n<![CDATA[\n\n{text}\n\n]]>\n</send>\n")
        return self

    def waits(self, seconds: float) -> Scenario:
        """Do nothing for so long."""
        self._steps.append(f'<pause milliseconds="{int(seconds * 1000)}"/>\n')
        return self


def _has_type(lines: Iterable[str]) -> bool:
    return any(line.lower().startswith("content-type:") for line in lines)
