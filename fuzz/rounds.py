"""Runs a target with atheris, or where that is not installed with random changes of the torture messages."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

try:
    import atheris
except ImportError:
    atheris = None

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SEEDS = [ROOT / "tests" / "data" / "rfc4475", ROOT / "tests" / "data" / "rfc5118"]
PIECES = b'\r\n|\r\n\r\n|\n|\r|\0|:| |\t|;|,|"|<|>|=|\\|\xff|Content-Length: 5\r\n|l: 0\r\n|Via: |SIP/2.0|%00'.split(
    b"|"
)


def instrumented() -> contextlib.AbstractContextManager[object]:
    """Within this, imports of the library are instrumented, if anything can instrument them."""
    return contextlib.nullcontext() if atheris is None else atheris.instrument_imports(include=["sip_p2p"])


def fuzz(check: Callable[[bytes], None], name: str) -> None:
    """Try *check* on many inputs; what it raises ends the program, and the input stands in ``build/fuzz``."""
    corpus = ROOT / "build" / "fuzz" / name
    parser = argparse.ArgumentParser(description=f"With atheris: python fuzz/{name}.py [options of libFuzzer].")
    parser.add_argument("--random", action="store_true", help="no atheris, though it may be installed")
    parser.add_argument("--seconds", type=float, default=60, help="how long, without atheris")
    parser.add_argument("--seed", type=int, default=0, help="which random changes, without atheris")
    parser.add_argument("inputs", nargs="*", type=Path, help="try these files only")
    options, others = parser.parse_known_args()
    if atheris is not None and not options.random:
        corpus.mkdir(parents=True, exist_ok=True)
        where = [str(path) for path in options.inputs or [corpus, *SEEDS]]
        atheris.Setup([sys.argv[0], f"-artifact_prefix={corpus}/", *others, *where], check)
        atheris.Fuzz()
    elif options.inputs:
        for path in options.inputs:
            check(path.read_bytes())
    else:
        why = "atheris is left aside" if atheris is not None else "atheris is not installed (pip install atheris)"
        print(f"{why}: random changes of the torture messages, without guidance", file=sys.stderr)
        change_at_random(check, name, corpus, options.seconds, random.Random(options.seed))


def change_at_random(
    check: Callable[[bytes], None], name: str, corpus: Path, seconds: float, chance: random.Random
) -> None:
    """Each torture message as it is, then changed ones until the time is over."""
    files = sorted(path for folder in SEEDS for path in folder.rglob("*") if path.suffix in (".dat", ".sip"))
    seeds = [path.read_bytes() for path in files]
    end, count = time.monotonic() + seconds, 0
    while count < len(seeds) or time.monotonic() < end:
        data = seeds[count] if count < len(seeds) else changed(chance, seeds)
        count += 1
        try:
            check(data)
        except BaseException:
            corpus.mkdir(parents=True, exist_ok=True)
            path = corpus / f"crash-{hashlib.sha1(data).hexdigest()}"
            path.write_bytes(data)
            print(f"{name}: input {count} fails: {path}", file=sys.stderr)
            raise
    print(f"{name}: {count} inputs, no failure")


def changed(chance: random.Random, seeds: list[bytes]) -> bytes:
    """One seed with one to eight places changed."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 8)):
        start = chance.randint(0, len(data))
        end = min(len(data), start + chance.choice((0, 0, 1, 4, 64)))
        other = chance.choice(seeds)
        piece = chance.choice((chance.choice(PIECES), chance.randbytes(1), other[start:end], data[start:end] * 3))
        data[start:end] = piece
    return bytes(data)
