"""Tests of how a user agent addresses a request."""

from __future__ import annotations

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.name_addr import parse_name_addr
from sip_p2p.sip.routing import route_request, route_set_of_callee, route_set_of_caller
from sip_p2p.sip.uri import parse_uri
from tests.support import SynchronousTestCase, vectors


class RoutingTests(SynchronousTestCase):
    """Sections 12.1 and 12.2.1.1."""

    def test_vectors(self) -> None:
        """Loose, strict and empty route sets give the request line, the Route and the next hop of the vectors."""
        for case in vectors("route")["ua_request"]:
            with self.subTest(case["id"]):
                routes = [parse_name_addr(route, "Route") for route in case["route_set"]]
                routed = route_request(routes, parse_uri(case["remote_target"]))
                self.assertEqual(str(routed.request_uri), case["request_uri"])
                self.assertEqual([str(route) for route in routed.route], case["route"])
                self.assertEqual(str(routed.next_hop), case["next_hop"])

    def test_route_sets(self) -> None:
        """The caller's route set is the Record-Route turned round, the callee's is as it came."""
        for case in vectors("route")["route_set_construction"]:
            if "role" not in case:
                continue
            caller = case["role"] == "UAC"
            recorded = case["record_route_in_2xx" if caller else "record_route_in_request"]
            addresses = [parse_name_addr(route, "Record-Route") for route in recorded]
            found = route_set_of_caller(addresses) if caller else route_set_of_callee(addresses)
            self.assertEqual([str(route) for route in found], case["route_set"])

    def test_what_a_request_line_may_not_hold(self) -> None:
        """Method and headers of a target stay out of the Request-URI, and out of Route behind a strict router."""
        target = parse_uri("sip:a@b.example;method=BYE;x=y?Subject=z")
        self.assertEqual(str(route_request([], target).request_uri), "sip:a@b.example;x=y")
        routed = route_request([parse_name_addr("<sip:p.example;method=BYE;y=z?To=x>;w", "Route")], target)
        self.assertEqual(str(routed.request_uri), "sip:p.example;y=z")
        self.assertEqual([str(route) for route in routed.route], ["<sip:a@b.example;x=y>"])

    def test_route_parameters_stay(self) -> None:
        """Parameters of a route, in its URI and after it, go out as they came (section 12.1.1)."""
        routes = [
            parse_name_addr('<sip:p.example;lr;%78=Y>;a="b c";d', "Route"),
            parse_name_addr("<sip:q>;e=f", "Route"),
        ]
        routed = route_request(routes, parse_uri("sip:a@b.example"))
        self.assertEqual([str(route) for route in routed.route], ['<sip:p.example;lr;%78=Y>;a="b c";d', "<sip:q>;e=f"])

    def test_other_schemes(self) -> None:
        """A target of another scheme is left as it is, and so is one behind a route of another scheme."""
        target = parse_uri("tel:+1-201-555-0123")
        self.assertIs(route_request([], target).next_hop, target)
        routed = route_request([parse_name_addr("<im:p.example>", "Route")], target)
        self.assertEqual((str(routed.request_uri), str(routed.next_hop)), ("tel:+1-201-555-0123", "im:p.example"))

    def test_malformed_route(self) -> None:
        """A first route that is no URI is malformed (fault:A13)."""
        routes = [parse_name_addr("<sip:a@b@c;lr>", "Route")]
        self.assertRaises(MalformedMessage, route_request, routes, parse_uri("sip:a@b.example"))
