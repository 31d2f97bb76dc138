"""What messages are matched by."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.fields import parse_via
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.transaction.key import (
    client_key,
    finished_client_key,
    has_cookie,
    party,
    rfc2543_key,
    sent_by,
    server_key,
)
from tests.sip.transaction.support import datagrams, make_request, stream


class CookieTests(SynchronousTestCase):
    """When a branch identifies a transaction by itself."""

    def test_cookie(self) -> None:
        """17.2.3: the cookie and something after it; the bare cookie and any other branch are RFC 2543's. fault:C9"""
        for branch, expected in (
            ("z9hG4bKa", True),
            ("z9hG4bK-", True),
            ("z9hG4bK", False),
            ("z9hG4b", False),
            ("1", False),
            ("", False),
            (None, False),
            ("Z9HG4BKa", False),
            ("xz9hG4bKa", False),
        ):
            self.assertIs(has_cookie(branch), expected, branch)


class SentByTests(SynchronousTestCase):
    """18.1.2: the host and port of a Via."""

    def test_default_ports(self) -> None:
        """A port that a Via leaves out is its transport's, so both spellings are one."""
        for via, expected in (
            ("SIP/2.0/UDP a.example", "a.example:5060"),
            ("SIP/2.0/TCP A.Example:5060", "a.example:5060"),
            ("SIP/2.0/TLS a.example", "a.example:5061"),
            ("SIP/2.0/TLS a.example:5060", "a.example:5060"),
            ("SIP/2.0/WS a.invalid", "a.invalid:80"),
            ("SIP/2.0/WSS a.invalid", "a.invalid:443"),
            ("SIP/2.0/SCTP a.example", "a.example:5060"),
            ("SIP/2.0/UDP [2001:DB8::1]:5070", "2001:db8::1:5070"),
            ("SIP/2.0/UDP [2001:db8:0::1]:5070", "2001:db8::1:5070"),
        ):
            self.assertEqual(sent_by(parse_via(via + ";branch=z9hG4bKa")), expected)


class PartyTests(SynchronousTestCase):
    """Who is at the other end of a flow."""

    def test_same_peer_same_party(self) -> None:
        """Flows that lead to the same peer have one party, and two that do not have two. fault:C1"""
        flows = [
            datagrams("192.0.2.2"),
            datagrams("192.0.2.2", 5070),
            datagrams("192.0.2.3"),
            stream("192.0.2.2", "b.example"),
            stream("192.0.2.3", "b.example"),
            stream("192.0.2.2", "c.example"),
            Flow("DTLS", False, "a.example", "192.0.2.2", 5061, "b.example"),
        ]
        for one in flows:
            for other in flows:
                self.assertEqual(party(one) == party(other), one.leads_to_same_peer(other), (party(one), party(other)))

    def test_unverified_streams(self) -> None:
        """A connection without a verified identity never has the party of datagrams from the same host."""
        self.assertNotEqual(party(stream(peer="")), party(datagrams()))
        self.assertNotEqual(party(stream(peer="")), party(stream("192.0.2.9", "")))


class ClientKeyTests(SynchronousTestCase):
    """17.1.3."""

    def test_parts(self) -> None:
        """Branch and method both count, as they were written. fault:C1"""
        keys = {
            client_key(branch, method)
            for branch in ("z9hG4bKa", "z9hG4bKA")
            for method in ("INVITE", "CANCEL", "invite")
        }
        self.assertEqual(len(keys), 6)

    def test_finished(self) -> None:
        """A record's key also holds whom it was sent to and whom its Via named. fault:C1 fault:C2"""
        key = client_key("z9hG4bKa", "OPTIONS")
        keys = {
            finished_client_key(key, flow, via)
            for flow in (datagrams("192.0.2.2"), datagrams("192.0.2.3"), stream())
            for via in ("a.example:5060", "b.example:5060")
        }
        self.assertEqual(len(keys), 6)


class ServerKeyTests(SynchronousTestCase):
    """17.2.3, first half."""

    def test_what_counts(self) -> None:
        """Branch, sent-by, method and party make the key; nothing else of the request does. row:G9 fault:C1"""
        base = server_key(make_request("INVITE"), datagrams(), "INVITE")
        for same in (
            server_key(make_request("INVITE", call_id="other", cseq=9, to_tag="x"), datagrams(), "INVITE"),
            server_key(make_request("CANCEL", uri="sip:c@c.example"), datagrams(port=5099), "INVITE"),
            server_key(make_request("INVITE", sent_by="192.0.2.1"), datagrams(), "INVITE"),
        ):
            self.assertEqual(same, base)
        others = {
            server_key(make_request("INVITE", "z9hG4bKtwo"), datagrams(), "INVITE"),
            server_key(make_request("INVITE", "z9hG4bKONE"), datagrams(), "INVITE"),
            server_key(make_request("INVITE", sent_by="192.0.2.1:5062"), datagrams(), "INVITE"),
            server_key(make_request("INVITE", sent_by="192.0.2.9"), datagrams(), "INVITE"),
            server_key(make_request("CANCEL"), datagrams(), "CANCEL"),
            server_key(make_request("INVITE"), datagrams("192.0.2.3"), "INVITE"),
            server_key(make_request("INVITE"), stream(), "INVITE"),
        }
        self.assertEqual(len(others - {base}), 7)

    def test_missing_via(self) -> None:
        """Without a Via there is no key."""
        request = make_request()
        request.headers.remove("Via")
        self.assertRaises(MalformedMessage, server_key, request, datagrams(), "OPTIONS")


class Rfc2543KeyTests(SynchronousTestCase):
    """17.2.3, second half."""

    def test_what_counts(self) -> None:
        """Request-URI, tags, Call-ID, CSeq, the top Via and the party all count. row:G9 fault:C9"""
        for branch in (None, "1", "z9hG4bK"):
            base = server_key(make_request("INFO", branch), datagrams(), "INFO")
            self.assertEqual(server_key(make_request("INFO", branch), datagrams(port=5099), "INFO"), base)
            changed = make_request("INFO", branch)
            changed.headers.set("From", "<sip:a@a.example>;tag=other")
            others = {
                server_key(make_request("INFO", branch, uri="sip:c@b.example"), datagrams(), "INFO"),
                server_key(make_request("INFO", branch, to_tag="x"), datagrams(), "INFO"),
                server_key(make_request("INFO", branch, call_id="other"), datagrams(), "INFO"),
                server_key(make_request("INFO", branch, cseq=2), datagrams(), "INFO"),
                server_key(make_request("INFO", branch, sent_by="192.0.2.9"), datagrams(), "INFO"),
                server_key(make_request("INFO", branch, transport="TCP"), datagrams(), "INFO"),
                server_key(make_request("INFO", branch), datagrams("192.0.2.9"), "INFO"),
                server_key(make_request("INFO", "2"), datagrams(), "INFO"),
                server_key(make_request("INFO", branch), datagrams(), "OPTIONS"),
                server_key(changed, datagrams(), "INFO"),
            }
            self.assertEqual(len(others - {base}), 10)

    def test_what_the_receiver_wrote(self) -> None:
        """received and rport, which the receiver adds, do not count, nor does the order of parameters. fault:C9"""
        keys = set()
        for params in ("a=1;b", "b;a=1", "b;a=1;received=192.0.2.7", "rport=9;a=1;b;received=192.0.2.8"):
            request = make_request("INFO", None)
            request.headers.set("Via", f"SIP/2.0/UDP 192.0.2.1:5060;{params}")
            keys.add(server_key(request, datagrams(), "INFO"))
        self.assertEqual(len(keys), 1)

    def test_tag_is_last(self) -> None:
        """The key of an ACK is what goes before its To tag, and the tag."""
        request = make_request("INVITE", None)
        self.assertEqual(
            rfc2543_key(request, datagrams(), "ACK", "") + "tag", rfc2543_key(request, datagrams(), "ACK", "tag")
        )

    def test_missing_fields(self) -> None:
        """Without a field that it is matched by, a request has no key."""
        for name in ("Via", "From", "To", "Call-ID", "CSeq"):
            request = make_request("INFO", None)
            request.headers.remove(name)
            self.assertRaises(MalformedMessage, server_key, request, datagrams(), "INFO")
