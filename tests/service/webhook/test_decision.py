"""What the hook's answer means, and that what is not understood means nothing."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import settings as drawing
from hypothesis import strategies as st

from sip_p2p.service.webhook.decision import (
    Decision,
    RequestAnswer,
    parse_description,
    parse_request_answer,
    parse_session_answer,
)
from sip_p2p.sip.dialog.description import ContentDescription
from tests.support import SynchronousTestCase

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                "status reason headers text body_base64 content_type decision answer contacts ask_again".split()
            )
            | st.text(max_size=8),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


def octets(value: object) -> bytes:
    """JSON."""
    return json.dumps(value).encode()


class Cases(SynchronousTestCase):
    """Answers that are none."""

    def assert_wrong(self, parse: Any, cases: dict[str, object]) -> None:
        """Each has its words."""
        for words, said in cases.items():
            with self.subTest(words):
                body = said if isinstance(said, bytes) else octets(said)
                error = str(self.assertRaises(ValueError, parse, body))
                self.assertIn(words, error)
                self.assertTrue(error.isprintable())


class RequestAnswerTests(Cases):
    """:func:`parse_request_answer`."""

    def test_nothing(self) -> None:
        """Nothing at all, blanks and an empty object are 200."""
        for body in (b"", b" \r\n", b"{}"):
            answer = parse_request_answer(body)
            self.assertEqual((answer.status, answer.body, answer.headers), (200, b"", ()))

    def test_everything(self) -> None:
        """Each member has its place; text is UTF-8, and plain where nothing else is said."""
        answer = parse_request_answer(
            octets({"status": 404, "reason": "Gone", "headers": {"subject": "a", "X-L": ["b", "c"]}, "text": "ü"})
        )
        self.assertEqual((answer.status, answer.reason, answer.body), (404, "Gone", "ü".encode()))
        self.assertEqual(answer.headers, (("Subject", "a"), ("X-L", "b"), ("X-L", "c")))
        self.assertEqual(answer.content_type, "text/plain; charset=UTF-8")
        answer = parse_request_answer(octets({"body_base64": "AAE=", "content_type": "a/b"}))
        self.assertEqual((answer.body, answer.content_type), (b"\0\1", "a/b"))

    def test_what_is_wrong(self) -> None:
        """What cannot be understood to its end is refused, with what is wrong."""
        self.assert_wrong(
            parse_request_answer,
            {
                "it is no JSON": b"<html>",
                "no JSON object": [],
                "'staus' is not known here": {"staus": 403},
                "the status 100": {"status": 100},
                "the status True": {"status": True},
                "the status '200'": {"status": "200"},
                "the status 200.0": {"status": 200.0},
                "reason is no text": {"reason": 5},
                "headers is no object": {"headers": [["a", "b"]]},
                "neither text nor a list of texts": {"headers": {"X": 5}},
                "Via": {"headers": {"Via": "x"}},
                "content_type, not in headers": {"headers": {"c": "a/b"}},
                "give one of them": {"text": "", "body_base64": ""},
                "is no base64": {"body_base64": "%", "content_type": "a/b"},
                "needs a content_type": {"body_base64": "AA=="},
                "nothing of that type": {"content_type": "a/b"},
                "content_type is none": {"text": "a", "content_type": "a"},
                "half a surrogate": b'{"text": "\\ud800"}',
            },
        )

    def test_injections(self) -> None:
        """No phrase, field or type can end a line of the response."""
        for said in (
            {"reason": "a\r\nX: y"},
            {"headers": {"X": "a\r\nY: b"}},
            {"headers": {"X\r\nY": "b"}},
            {"headers": {"X": "a\0"}},
            {"text": "a", "content_type": "a/b\r\nX: y"},
            {"text": "a", "content_type": 'a/b;c="d\r\nX: y"'},
        ):
            self.assertRaises(ValueError, parse_request_answer, octets(said))

    def test_deep(self) -> None:
        """JSON that is nested too deep is no JSON."""
        self.assertRaises(ValueError, parse_request_answer, b"[" * 100_000)

    @drawing(max_examples=300, deadline=None)
    @given(JSON | st.binary(max_size=40))
    def test_anything(self, said: object) -> None:
        """Whatever the hook says, it is an answer or a ValueError, and nothing else."""
        for parse in (parse_request_answer, parse_session_answer, parse_description):
            try:
                answer = parse(said if isinstance(said, bytes) else octets(said))
            except ValueError:
                continue
            self.assertTrue(200 <= getattr(answer, "status", 200) <= 699 or answer.decision is Decision.RING)  # type: ignore[union-attr]


class SessionAnswerTests(Cases):
    """:func:`parse_session_answer`."""

    def test_nothing(self) -> None:
        """Nothing at all decides nothing: 480."""
        answer = parse_session_answer(b"")
        self.assertEqual((answer.decision, answer.status), (Decision.REJECT, 480))

    def test_each(self) -> None:
        """Each decision has its own members."""
        answer = parse_session_answer(octets({"decision": "accept", "answer": "v=0", "headers": {"X-A": "b"}}))
        self.assertEqual((answer.decision, answer.status, answer.headers), (Decision.ACCEPT, 200, (("X-A", "b"),)))
        self.assertEqual(answer.description, ContentDescription(b"v=0"))
        self.assertIsNone(parse_session_answer(octets({"decision": "accept"})).description)
        answer = parse_session_answer(octets({"decision": "ring", "status": 183, "ask_again": 2}))
        self.assertEqual((answer.decision, answer.status, answer.ask_again), (Decision.RING, 183, 2.0))
        answer = parse_session_answer(octets({"decision": "reject", "status": 486, "reason": "Busy"}))
        self.assertEqual((answer.decision, answer.status, answer.reason), (Decision.REJECT, 486, "Busy"))
        answer = parse_session_answer(octets({"decision": "redirect", "contacts": ["sip:a@b.example", "c@d.example"]}))
        self.assertEqual((answer.status, answer.contacts), (302, ("sip:a@b.example", "sip:c@d.example")))

    def test_what_is_wrong(self) -> None:
        """What cannot be understood to its end is refused, with what is wrong."""
        self.assert_wrong(
            parse_session_answer,
            {
                "the decision None": {"status": 200},
                "the decision 'yes'": {"decision": "yes"},
                "the decision []": {"decision": []},
                "'status' is not known here": {"decision": "accept", "status": 200},
                "from 400 to 699": {"decision": "reject", "status": 200},
                "from 101 to 198": {"decision": "ring", "status": 100},
                "from 300 to 399": {"decision": "redirect", "contacts": ["sip:a@b"], "status": 200},
                "no list of 1 to 16": {"decision": "redirect", "contacts": []},
                "no number of seconds": {"decision": "ring", "ask_again": 0},
                "contacts holds": {"decision": "redirect", "contacts": [5]},
                "without octets": {"decision": "accept", "answer": ""},
            },
        )


class DescriptionTests(Cases):
    """:func:`parse_description`."""

    def test_both(self) -> None:
        """An answer is one, and a status refuses."""
        self.assertEqual(parse_description(octets({"answer": "v=0"})), ContentDescription(b"v=0"))
        refusal = parse_description(octets({"status": 491}))
        self.assertIsInstance(refusal, RequestAnswer)
        self.assertEqual(refusal.status, 491)  # type: ignore[union-attr]

    def test_what_is_wrong(self) -> None:
        """Nothing at all is no answer to an offer."""
        self.assert_wrong(
            parse_description,
            {
                "neither an answer": {},
                "'answer' is not known": {"status": 488, "answer": "v=0"},
                "from 400": {"status": 200},
            },
        )
