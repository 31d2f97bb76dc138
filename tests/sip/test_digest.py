"""Tests of digest authentication as values."""

from __future__ import annotations

from hashlib import md5, new, sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from sip_p2p.errors import MalformedMessage
from sip_p2p.sip.auth import AuthValue, parse_auth_value
from sip_p2p.sip.digest import (
    ALGORITHMS,
    Challenge,
    ClientNonce,
    Presented,
    choose,
    digest,
    ha1_of,
    hash_of,
    is_algorithm,
    parse_challenges,
    parse_presented,
    rspauth,
    same,
)
from sip_p2p.sip.message import Request, Response
from tests.sip.grammar import NASTY_TEXT, garbled
from tests.support import SynchronousTestCase, vectors

BOB = "sip:bob@biloxi.com"
GIVEN = (
    'Digest username="bob", realm="biloxi.com", nonce="n", uri="sip:bob@biloxi.com", '
    f'response="{"0" * 64}", algorithm=SHA-256, cnonce="c", qop=auth, nc=00000001'
)


def challenge(text: str, *, is_proxy: bool = False) -> Challenge:
    """One challenge of Digest with these parameters."""
    return Challenge(parse_auth_value(f"Digest {text}", "WWW-Authenticate"), is_proxy)


def response(status: int = 401, *fields: tuple[str, str], body: bytes = b"") -> Response:
    """A response with these fields."""
    return Response(status, None, fields, body)


class HashTests(SynchronousTestCase):
    """What a digest is computed from."""

    def test_vectors(self) -> None:
        """Every vector comes out: MD5, SHA-256, SHA-512/256, with ``-sess``, ``auth-int`` and as in RFC 2069
        (row:F10)."""
        cases = vectors("digest")["cases"]
        self.assertEqual(len(cases), 22)
        for case in cases:
            computed = digest(
                case["alg"],
                ha1_of(case["alg"], case["user"], case["realm"], case["pw"]),
                case["nonce"],
                case["method"],
                case["uri"],
                qop=case.get("qop", ""),
                nc=case.get("nc", ""),
                cnonce=case.get("cnonce", ""),
                body=case.get("body", "").encode(),
            )
            self.assertEqual(computed, case["response"], case["source"])

    def test_no_body(self) -> None:
        """With ``auth-int`` a message without a body is hashed with an empty one (RFC 8760 section 2.6)."""
        empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        self.assertEqual(hash_of("SHA-256", b""), empty)
        ha1 = ha1_of("SHA-256", "bob", "r", "pw")
        a2 = sha256(f"INVITE:{BOB}:{empty}".encode()).hexdigest()
        expected = sha256(f"{ha1}:n:00000001:c:auth-int:{a2}".encode()).hexdigest()
        self.assertEqual(
            digest("SHA-256", ha1, "n", "INVITE", BOB, qop="auth-int", nc="00000001", cnonce="c"), expected
        )

    def test_userhash(self) -> None:
        """A hashed user name is that of erratum 4897 (RFC 7616 section 3.9.2, row:F10)."""
        [case] = [case for case in vectors("digest")["cases"] if "userhash" in case]
        self.assertEqual(hash_of(case["alg"], f"{case['user']}:{case['realm']}"), case["userhash"])

    def test_algorithms(self) -> None:
        """The strongest comes first, and a name is known in any case, with ``-sess`` as well (RFC 7616 section 6.1)."""
        self.assertEqual(ALGORITHMS, ("SHA-512-256", "SHA-256", "MD5"))
        self.assertEqual(
            [is_algorithm(name) for name in ("md5-SESS", "sha-256", "SHA-1", "")], [True, True, False, False]
        )
        self.assertEqual(hash_of("MD5-sess", "x"), md5(b"x").hexdigest())
        self.assertEqual(hash_of("SHA-512-256", b"x"), new("sha512_256", b"x").hexdigest())

    def test_rspauth(self) -> None:
        """The proof of the peer leaves out the method, and counts the body of its response (RFC 7616 section 3.5)."""
        ha1 = ha1_of("SHA-256", "bob", "r", "pw")
        a2 = sha256(f":{BOB}:{sha256(b'body').hexdigest()}".encode()).hexdigest()
        expected = sha256(f"{ha1}:n:00000002:c:auth-int:{a2}".encode()).hexdigest()
        computed = rspauth("SHA-256", ha1, "n", BOB, qop="auth-int", nc="00000002", cnonce="c", body=b"body")
        self.assertEqual(computed, expected)

    def test_same(self) -> None:
        """Digests are compared without regard to case, and whatever a peer writes is compared without an error."""
        self.assertEqual(
            [same(text, "ab") for text in ("AB", "ab", "ac", "", "ä", "\udcff")], [True, True] + [False] * 4
        )


class ChallengeTests(SynchronousTestCase):
    """What a peer asks."""

    def test_parts(self) -> None:
        """A challenge is read with its defaults: MD5, nothing stale, no qop (RFC 7616 section 3.3)."""
        plain = challenge('realm="r", nonce="n"')
        self.assertEqual((plain.realm, plain.nonce, plain.algorithm, plain.qop), ("r", "n", "MD5", ""))
        self.assertEqual(
            (plain.opaque, plain.is_stale, plain.names_algorithm, plain.hashes_user), (None, False, False, False)
        )
        full = challenge(
            'realm="r", nonce="n", qop="auth-int, AUTH, x", algorithm=sha-256-SESS, stale=TRUE, opaque="", '
            "userhash=true"
        )
        self.assertEqual((full.algorithm, full.qop, full.opaque), ("SHA-256-sess", "auth", ""))
        self.assertEqual((full.is_stale, full.names_algorithm, full.hashes_user), (True, True, True))
        self.assertEqual(challenge('realm="r", nonce="n", qop="auth-int"').qop, "auth-int")

    def test_no_qop(self) -> None:
        """A challenge without qop means ``auth``, but for MD5, which is answered without one (RFC 8760 section 2.6, RFC
        3261 section 22.4)."""
        for algorithm, qop in (("SHA-256", "auth"), ("SHA-512-256-sess", "auth"), ("MD5-sess", "auth"), ("MD5", "")):
            asked = challenge(f'realm="r", nonce="n", algorithm={algorithm}')
            self.assertEqual(asked.qop, qop)
            written = ClientNonce(asked, "bob", "0" * 64, "c").field("INVITE", BOB, b"")[1]
            self.assertEqual(f"qop={qop}, nc=00000001" in written, bool(qop))

    def test_unanswerable(self) -> None:
        """What is no digest, lacks a part, or asks for what nobody knows is no challenge (RFC 8760 section 2.4)."""
        for text in (
            "Basic realm=x",
            'Digest nonce="n"',
            'Digest realm="r"',
            'Digest realm="r", nonce=""',
            'Digest realm="r", nonce="n", algorithm=SHA-1, qop="auth"',
            'Digest realm="r", nonce="n", qop="later"',
            'Digest realm="r", nonce="n", algorithm=SHA-256, qop="later"',
        ):
            with self.assertRaises(MalformedMessage):
                Challenge(parse_auth_value(text, "WWW-Authenticate"), False)

    def test_all_of_a_response(self) -> None:
        """The challenges of a response are those of the UAS and of every proxy; what cannot be read is passed over
        (section 22.3, row:F10)."""
        found = parse_challenges(
            response(
                407,
                ("Proxy-Authenticate", 'Digest realm="p1", nonce="1"'),
                ("WWW-Authenticate", 'Digest realm="u", nonce="2"'),
                ("Proxy-Authenticate", "Digest realm="),
                ("Proxy-Authenticate", "Bearer abc"),
                ("Proxy-Authenticate", 'Digest realm="p2", nonce="3"'),
            )
        )
        self.assertEqual([(each.realm, each.is_proxy) for each in found], [("u", False), ("p1", True), ("p2", True)])

    def test_choice(self) -> None:
        """The topmost that may be used is answered, but MD5 only where nothing else can be, wherever it stands (RFC
        8760 section 2.4, fault:E4)."""
        offered = [
            challenge(f'realm="r", nonce="n", qop="auth", algorithm={name}')
            for name in ("MD5", "SHA-256", "SHA-512-256")
        ]
        for allowed, chosen in (
            (ALGORITHMS, "SHA-256"),
            (("SHA-512-256",), "SHA-512-256"),
            (("MD5",), "MD5"),
            (("MD5", "SHA-512-256"), "SHA-512-256"),
        ):
            picked = choose(offered, allowed)
            self.assertEqual(None if picked is None else picked.algorithm, chosen)
        self.assertIsNone(choose(offered[:1], ("SHA-256",)))


class ClientNonceTests(SynchronousTestCase):
    """Credentials that are made."""

    def test_field(self) -> None:
        """Credentials quote what the grammar wants quoted, and count up with the same cnonce (RFC 7616 section 3.4)."""
        asked = challenge('realm="r", nonce="n", qop="auth", algorithm=SHA-256, opaque="o"')
        ha1 = ha1_of("SHA-256", "bob", "r", "pw")
        nonce = ClientNonce(asked, "bob", ha1, "c")
        name, value = nonce.field("INVITE", BOB, b"")
        answer = digest("SHA-256", ha1, "n", "INVITE", BOB, qop="auth", nc="00000001", cnonce="c")
        self.assertEqual(name, "Authorization")
        self.assertEqual(
            value,
            f'Digest username="bob", realm="r", nonce="n", uri="{BOB}", response="{answer}", algorithm=SHA-256, '
            'cnonce="c", qop=auth, nc=00000001, opaque="o"',
        )
        self.assertIn("nc=00000002", nonce.field("INVITE", BOB, b"")[1])

    def test_examples(self) -> None:
        """The challenges of the examples are answered with the very credentials that they show, which are taken in turn
        (RFC 7616 sections 3.9.1 and 3.9.2, with erratum 4897)."""
        opaques = {
            "http-auth@example.org": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
            "api@example.org": "HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS",
        }
        cases = [case for case in vectors("digest")["cases"] if case["source"].startswith("RFC 7616")]
        self.assertEqual(len(cases), 3)
        for case in cases:
            opaque, hashed = opaques[case["realm"]], case.get("userhash")
            offered = "auth" if hashed else "auth, auth-int"
            asked = challenge(
                f'realm="{case["realm"]}", qop="{offered}", algorithm={case["alg"]}, nonce="{case["nonce"]}", '
                f'opaque="{opaque}"{", charset=UTF-8, userhash=true" if hashed else ""}'
            )
            ha1 = ha1_of(case["alg"], case["user"], case["realm"], case["pw"])
            written = ClientNonce(asked, case["user"], ha1, case["cnonce"]).field("GET", case["uri"], b"")[1]
            shown: dict[str, str | None] = {
                "username": hashed or case["user"],
                "realm": case["realm"],
                "uri": case["uri"],
                "algorithm": case["alg"],
                "nonce": case["nonce"],
                "nc": "00000001",
                "cnonce": case["cnonce"],
                "qop": "auth",
                "response": case["response"],
                "opaque": opaque,
            }
            if hashed:
                shown["userhash"] = "true"
            credentials = parse_auth_value(written, "Authorization")
            self.assertEqual(credentials, AuthValue("Digest", shown))
            self.assertTrue(Presented(credentials, "Authorization").answers(ha1, "GET", b""))

    def test_for_a_proxy(self) -> None:
        """A proxy's challenge is answered in Proxy-Authorization (section 22.3)."""
        nonce = ClientNonce(
            challenge('realm="r", nonce="n"', is_proxy=True), "bob", ha1_of("MD5", "bob", "r", "x"), "c"
        )
        name, value = nonce.field("INVITE", BOB, b"")
        self.assertEqual(name, "Proxy-Authorization")
        for part in ("cnonce", "qop", "nc=", "algorithm", "opaque"):
            self.assertNotIn(part, value)

    def test_hashed_name(self) -> None:
        """Who takes names as hashes gets one (RFC 7616 section 3.4.4)."""
        asked = challenge('realm="r", nonce="n", qop="auth", algorithm=SHA-256, userhash=true')
        value = ClientNonce(asked, "bob", ha1_of("SHA-256", "bob", "r", "x"), "c").field("INVITE", BOB, b"")[1]
        self.assertIn(f'username="{hash_of("SHA-256", "bob:r")}"', value)
        self.assertIn("userhash=true", value)

    def test_info(self) -> None:
        """Authentication-Info gives the next nonce, and a proof that is checked where it can be (RFC 7616 section
        3.5)."""
        asked = challenge('realm="r", nonce="n", qop="auth", algorithm=SHA-256')
        ha1 = ha1_of("SHA-256", "bob", "r", "pw")
        nonce = ClientNonce(asked, "bob", ha1, "c")
        nonce.field("INVITE", BOB, b"")
        proof = rspauth("SHA-256", ha1, "n", BOB, qop="auth", nc="00000001", cnonce="c")

        def info(text: str) -> bool:
            return nonce.hear_info(response(200, ("Authentication-Info", text)), BOB)

        self.assertTrue(nonce.hear_info(response(200), BOB))
        self.assertTrue(info("what is this"))
        self.assertTrue(info('rspauth="x"'))
        self.assertFalse(info(f'rspauth="{"0" * 64}", qop=auth, nc=00000001, cnonce="c"'))
        self.assertEqual((nonce.nonce, nonce.uses), ("n", 1))
        self.assertTrue(info(f'rspauth="{proof}", qop=auth, nc=00000001, cnonce="c", nextnonce="n2"'))
        self.assertEqual((nonce.nonce, nonce.uses), ("n2", 0))

    def test_info_of_an_earlier_nonce(self) -> None:
        """A proof is over the nonce that its request has carried, whatever has come next meanwhile; what names another
        cnonce is about other credentials (RFC 7616 section 3.5)."""
        ha1 = ha1_of("SHA-256", "bob", "r", "pw")
        nonce = ClientNonce(challenge('realm="r", nonce="n", qop="auth", algorithm=SHA-256'), "bob", ha1, "c")
        nonce.field("INVITE", BOB, b"")
        nonce.field("INVITE", BOB, b"")
        nonce.hear_info(response(200, ("Authentication-Info", 'nextnonce="n2"')), BOB)
        proof = rspauth("SHA-256", ha1, "n", BOB, qop="auth", nc="00000002", cnonce="c")
        late = response(200, ("Authentication-Info", f'rspauth="{proof}", qop=auth, nc=00000002, cnonce="c"'))
        self.assertTrue(nonce.hear_info(late, BOB, "n"))
        self.assertFalse(nonce.hear_info(late, BOB))
        nonce.hear_info(response(200, ("Authentication-Info", 'nextnonce="n3", cnonce="d"')), BOB)
        self.assertEqual(nonce.nonce, "n2")

    def test_session_key(self) -> None:
        """What ``-sess`` makes of the challenge's nonce lasts over the next ones (RFC 7616 sections 3.4.2 and 3.6)."""
        ha1 = ha1_of("SHA-256", "bob", "r", "pw")
        nonce = ClientNonce(challenge('realm="r", nonce="n", qop="auth", algorithm=SHA-256-sess'), "bob", ha1, "c")
        nonce.field("INVITE", BOB, b"")
        nonce.hear_info(response(200, ("Authentication-Info", 'nextnonce="n2"')), BOB)
        key = sha256(f"{ha1}:n:c".encode()).hexdigest()
        answer = digest("SHA-256", key, "n2", "INVITE", BOB, qop="auth", nc="00000001", cnonce="c")
        written = nonce.field("INVITE", BOB, b"")[1]
        self.assertIn(f'nonce="n2", uri="{BOB}", response="{answer}", algorithm=SHA-256-sess', written)

    def test_long_nextnonce(self) -> None:
        """A next nonce that is longer than what is kept of any challenge is not taken up. fault:E5"""
        nonce = ClientNonce(challenge('realm="r", nonce="n", qop="auth"'), "bob", "0" * 32, "c")
        nonce.field("INVITE", BOB, b"")
        self.assertTrue(nonce.hear_info(response(200, ("Authentication-Info", f'nextnonce="{"n" * 513}"')), BOB))
        self.assertEqual((nonce.nonce, nonce.uses), ("n", 1))

    def test_used_up(self) -> None:
        """A nonce is counted to eight digits and no further."""
        nonce = ClientNonce(challenge('realm="r", nonce="n"'), "bob", "0" * 32, "c")
        self.assertFalse(nonce.is_used_up)
        nonce.uses = 0xFFFFFFFF
        self.assertTrue(nonce.is_used_up)

    def test_no_secret_shown(self) -> None:
        """No representation shows a password, what stands for it, or an answer."""
        asked = challenge('realm="r", nonce="secret-nonce"')
        shown = repr(ClientNonce(asked, "bob", "secret-ha1", "secret-cnonce")) + repr(asked)
        shown += repr(Presented(parse_auth_value(GIVEN.replace('"n"', '"secret"'), "Authorization"), "Authorization"))
        self.assertNotIn("secret", shown)


class PresentedTests(SynchronousTestCase):
    """Credentials that come."""

    def request(self, *values: str, name: str = "Authorization") -> Request:
        """A request with these credentials."""
        return Request("INVITE", BOB, [(name, value) for value in values])

    def test_whose(self) -> None:
        """Of several credentials those for the realm count, of the field that was asked for (section 22.2)."""
        other = GIVEN.replace("biloxi", "atlanta")
        found = parse_presented(self.request("Bearer x", other, GIVEN), "biloxi.com", is_proxy=False)
        assert found is not None
        self.assertEqual((found.username, found.realm, found.uri, found.count), ("bob", "biloxi.com", BOB, 1))
        self.assertIsNone(parse_presented(self.request(other), "biloxi.com", is_proxy=False))
        self.assertIsNone(parse_presented(self.request(GIVEN), "biloxi.com", is_proxy=True))
        proxied = self.request(GIVEN, name="Proxy-Authorization")
        self.assertIsNotNone(parse_presented(proxied, "biloxi.com", is_proxy=True))

    def test_count_as_written(self) -> None:
        """A count has hexadecimal digits of either case, is hashed as it is written, and repeated like that in a proof
        (RFC 7616 sections 3.4.1 and 3.5)."""
        ha1 = ha1_of("SHA-256", "bob", "biloxi.com", "zanzibar")
        for nc in ("0000000a", "0000000A"):
            answer = digest("SHA-256", ha1, "n", "INVITE", BOB, qop="auth", nc=nc, cnonce="c")
            text = GIVEN.replace("00000001", nc).replace("0" * 64, answer)
            found = parse_presented(self.request(text), "biloxi.com", is_proxy=False)
            assert found is not None
            self.assertEqual(found.count, 10)
            self.assertTrue(found.answers(ha1, "INVITE", b""), nc)
            proof = rspauth("SHA-256", ha1, "n", BOB, qop="auth", nc=nc, cnonce="c")
            self.assertEqual(found.proof(ha1).field(b"")[1], f'qop=auth, rspauth="{proof}", cnonce="c", nc={nc}')

    def test_before_any_challenge(self) -> None:
        """Who names its user and has not been challenged yet leaves the nonce empty: these are no credentials (RFC 8760
        section 2.7)."""
        early = 'Digest username="bob", realm="biloxi.com", nonce="", uri="sip:biloxi.com", response=""'
        for text in (early, GIVEN.replace('"n"', '""')):
            self.assertIsNone(parse_presented(self.request(text), "biloxi.com", is_proxy=False))

    def test_malformed(self) -> None:
        """Credentials that are not well formed are 400, and the error repeats nothing of them (fault:E5)."""
        secret = "9" * 64
        for old, new_ in (
            ('username="bob", ', ""),
            ('username="bob"', 'username=""'),
            ('username="bob"', "username=\"bob\", username*=UTF-8''bob"),
            ('nonce="n", ', ""),
            (f'uri="{BOB}", ', ""),
            ('cnonce="c", ', ""),
            (", qop=auth", ""),
            ("qop=auth", "qop=auth-conf"),
            (", nc=00000001", ""),
            ("nc=00000001", "nc=1"),
            ("nc=00000001", "nc=00000000"),
            ("nc=00000001", "nc=0000000g"),
            ("SHA-256", "SHA-1"),
            ("algorithm=SHA-256, ", ""),
            ("0" * 64, "0" * 63),
            ("0" * 64, "g" * 64),
            ("qop=auth", "qop=auth, qop=auth"),
        ):
            self.assertIn(old, GIVEN)
            text = GIVEN.replace(old, new_).replace("0" * 63, secret[:63])
            with self.assertRaises(MalformedMessage, msg=text) as caught:
                parse_presented(self.request(text), "biloxi.com", is_proxy=False)
            self.assertEqual(caught.exception.status, 400)
            self.assertNotIn("999", str(caught.exception))
        with self.assertRaises(MalformedMessage):
            parse_presented(self.request(GIVEN, GIVEN), "biloxi.com", is_proxy=False)

    @settings(max_examples=150, deadline=None)
    @given(garbled(GIVEN))
    def test_anything(self, text: str) -> None:
        """Whatever stands in Authorization is credentials or 400 (fault:E5)."""
        try:
            found = parse_presented(self.request(text), "biloxi.com", is_proxy=False)
        except (MalformedMessage, ValueError):
            return
        if found is not None:
            found.answers("0" * 64, "INVITE", b"")

    @settings(max_examples=150, deadline=None)
    @given(
        st.sampled_from([f"{name}{suffix}" for name in ALGORITHMS for suffix in ("", "-sess")]),
        st.sampled_from(["auth", "auth-int"]),
        NASTY_TEXT.filter(lambda text: not any("\ud800" <= each <= "\udfff" for each in text)),
        st.text(
            st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=("Cs", "Cc")),
            min_size=1,
            max_size=9,
        ),
        st.binary(max_size=20),
        st.integers(1, 0xFFFFFFFE),
    )
    def test_both_sides_agree(
        self, algorithm: str, qop: str, password: str, username: str, body: bytes, uses: int
    ) -> None:
        """What one side makes of a challenge the other takes, for this password, method and body and for no other."""
        value = AuthValue(
            "Digest", {"realm": "r", "nonce": "n", "algorithm": algorithm, "qop": qop}, ("realm", "nonce", "qop")
        )
        ha1 = ha1_of(algorithm, username, "r", password)
        nonce = ClientNonce(Challenge(value, False), username, ha1, "c")
        nonce.uses = uses - 1
        written = nonce.field("INVITE", BOB, body)[1]
        presented = parse_presented(self.request(written), "r", is_proxy=False)
        assert presented is not None
        self.assertEqual((presented.username, presented.count, presented.algorithm), (username, uses, algorithm))
        self.assertTrue(presented.answers(ha1, "INVITE", body))
        self.assertFalse(presented.answers(ha1, "BYE", body))
        self.assertFalse(presented.answers(ha1_of(algorithm, username, "r", f"{password}x"), "INVITE", body))
        self.assertEqual(presented.answers(ha1, "INVITE", body + b"x"), qop == "auth")
