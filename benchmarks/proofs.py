"""What it costs to prove who one is by a password or by a signature, and to judge that: CPU microseconds, without
sockets.

Challenges are answered with one nonce and its next number each time, as on a connection that lasts: so the judge has
one nonce to remember. A signature is judged with the certificate at hand: what fetching it costs is not here.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

from benchmarks.report import machine, speed, table
from benchmarks.setting import FULL, QUICK, Setting
from benchmarks.timing import Piece, Timed, measure_pieces
from sip_p2p import DigestAuthenticator, PassportSigner
from sip_p2p.endpoint.identity.signer import signed
from sip_p2p.sip.digest import ClientNonce, choose, ha1_of, parse_challenges
from sip_p2p.sip.flow import Flow
from sip_p2p.sip.message import Request, Response
from sip_p2p.transport.trust.credential import Credential

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ALGORITHMS", "main", "measure_proofs", "tables"]

ALGORITHMS = ("SHA-256", "SHA-512-256", "MD5")

_REALM = "bob.example"
_URI = "sip:bob@bob.example"
_PASSWORD = "correct horse battery staple"


def _request(*fields: tuple[str, str]) -> Request:
    return Request("MESSAGE", _URI, [("From", "<sip:alice@alice.example>;tag=1"), ("To", f"<{_URI}>"), *fields])


class _Login:
    """Somebody who answers challenges, and who judges that."""

    def __init__(self, algorithm: str) -> None:
        self._flow = Flow("TLS", True, "bob.example:5061", "192.0.2.7", 40_000, "alice.example")
        hashed = ha1_of(algorithm, "alice", _REALM, _PASSWORD)
        known = {"alice": {algorithm: hashed}}
        self._judge = DigestAuthenticator(
            _REALM, known.get, algorithms=(algorithm,), nonce_lifetime=1e9, allow_md5=algorithm == "MD5"
        )
        challenged = self._judge.judge(_request(), self._flow, 1.0)
        chosen = choose(parse_challenges(Response(challenged.status, None, challenged.fields)), (algorithm,))
        if chosen is None:
            raise ValueError(f"nobody was challenged with {algorithm}")
        self._nonce = ClientNonce(chosen, "alice", hashed, "client")

    def challenge(self) -> None:
        """A request without credentials."""
        if self._judge.judge(_request(), self._flow, 1.0).status != 401:
            raise ValueError("a request without credentials has passed")

    def answer(self) -> tuple[str, str]:
        """The credentials for one more request."""
        return self._nonce.field("MESSAGE", _URI, b"")

    def log_in(self) -> None:
        """A request with credentials, written and judged."""
        if self._judge.judge(_request(self.answer()), self._flow, 1.0).status:
            raise ValueError("a request with credentials has not passed")


def measure_proofs(setting: Setting) -> list[Timed]:
    """Every kind of proof, made and judged."""
    pieces = []
    for algorithm in ALGORITHMS:
        login = _Login(algorithm)
        pieces += [
            Piece(f"{algorithm}: challenged", login.challenge),
            Piece(f"{algorithm}: answered", login.answer),
            Piece(f"{algorithm}: answered and judged", login.log_in),
        ]
    signature = _Signature(setting)
    pieces += [
        Piece("PASSporT: signed", signature.sign),
        Piece("PASSporT: signature judged", signature.judge),
    ]
    return measure_pieces(pieces, setting.scale)


class _Signature:
    """Somebody who signs, and who judges that."""

    def __init__(self, setting: Setting) -> None:
        credential = Credential.from_files(str(setting.client))
        self._signer = PassportSigner(credential, "https://alice.example/cert.pem")
        key = credential.certificate.public_key()
        if not isinstance(key, EllipticCurvePublicKey):
            raise TypeError("the certificates of the benchmarks have keys of an elliptic curve")
        self._key = key
        self._token = self.sign().headers["Identity"].partition(";")[0]

    def sign(self) -> Request:
        """A request, signed."""
        request = _request()
        if not self._signer.sign(request):
            raise ValueError("a request was not signed")
        return request

    def judge(self) -> None:
        """A signature, with the key at hand."""
        if not signed(self._token, self._key):
            raise ValueError("a signature was not taken for right")


def tables(timed: Sequence[Timed]) -> str:
    """One row for each."""
    rows = [(each.name, f"{each.median:.1f}", f"{each.best:.1f}") for each in timed]
    return table("Who somebody is", ("CPU microseconds", "median", "best"), rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.proofs", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter batches")
    options = parser.parse_args()
    print(machine())
    print(speed())
    with Setting(QUICK if options.quick else FULL) as setting:
        print(tables(measure_proofs(setting)))


if __name__ == "__main__":
    main()
