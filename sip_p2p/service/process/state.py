"""What the service keeps between two runs: the instance id, a URN that stays the same as long as its folder does.

RFC 5626 section 4.1: the instance id names this very user agent, whatever address it has today, and must survive a
restart.
"""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

__all__ = ["INSTANCE_FILE", "instance_id"]

INSTANCE_FILE = "instance-id"

_URN = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def instance_id(directory: str | os.PathLike[str]) -> str:
    """The ``urn:uuid:`` of *directory*: the one that is kept there, else a new one, written at once.

    The folder is made if it is not there. Two services that start together in one folder end up with the same id: the
    file appears whole or not at all, and whoever comes second reads it.

    :raises OSError: the folder cannot be made, read or written.
    :raises ValueError: the file holds something else.
    """
    folder = Path(directory)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / INSTANCE_FILE
    if not path.exists():
        fresh = folder / f".{INSTANCE_FILE}.{uuid.uuid4().hex}"
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{uuid.uuid4().urn}\n")
                file.flush()
                os.fsync(file.fileno())
            # A link fails where the name is taken, and a rename would not.
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink(missing_ok=True)
    kept = path.read_bytes()[:128].decode("ascii", "replace").strip()
    if _URN.fullmatch(kept) is None:
        raise ValueError(f"{path} does not hold a urn:uuid: remove it, and a new one is made")
    return kept
