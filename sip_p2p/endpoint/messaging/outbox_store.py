"""The file of an outbox: each function is one transaction, and what it returns is on the disk (SQLite).

Nothing here knows the network or the reactor. All of it runs in the one thread that has the connection; a crash between
two functions loses nothing, and a crash within one undoes it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sip_p2p.endpoint.messaging.outbox_entry import COLUMNS, OutboxEntry, OutboxState
from sip_p2p.errors import InvalidOperation, OutboxFailed

if TYPE_CHECKING:
    from typing import TypeAlias

    # What adbapi gives is a wrapper around the connection with the same methods.
    Connection: TypeAlias = sqlite3.Connection

__all__ = [
    "SCHEMA_VERSION",
    "accept",
    "claim",
    "expire",
    "find",
    "forget",
    "listed",
    "look_at",
    "make_private",
    "postpone",
    "prepare",
    "report",
    "settle",
    "told",
    "try_again",
]

SCHEMA_VERSION: Final = 1
"""What is written into the file; one that says more was made by a later program."""

_APPLICATION: Final = 0x53495042
_FINAL = "('delivered', 'reported', 'failed', 'expired')"
_READ = f"SELECT {', '.join(COLUMNS)} FROM messages"
_SCHEMA = f"""
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    target TEXT NOT NULL,
    lane TEXT NOT NULL,
    digest TEXT NOT NULL,
    body BLOB NOT NULL,
    content_type TEXT NOT NULL,
    headers TEXT NOT NULL,
    call_id TEXT NOT NULL,
    state TEXT NOT NULL,
    queued_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    due_at REAL NOT NULL,
    settled_at REAL,
    attempts INTEGER NOT NULL DEFAULT 0,
    status INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    report TEXT NOT NULL DEFAULT '',
    told INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX waiting ON messages (lane, seq) WHERE state = 'queued';
CREATE INDEX expiring ON messages (expires_at) WHERE state = 'queued';
CREATE INDEX settled ON messages (settled_at) WHERE state IN {_FINAL};
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {SCHEMA_VERSION};
"""


def make_private(path: str) -> None:
    """Let nobody else read the file at *path*; it is made if there is none.

    One that is there is not opened: to close it again would let go of the locks that this process may have on it, and
    let another process have the file (POSIX: fcntl).

    :raises OutboxFailed: when it cannot be had.
    """
    try:
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            _take_over(path)
    except OSError as error:
        raise OutboxFailed(f"the outbox {path} cannot be opened: {error.strerror}", error) from None


def _take_over(path: str) -> None:
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no file")
    if not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        os.chmod(path, 0o600)


def prepare(connection: Connection, path: str, now: float, keep: float) -> dict[str, Any]:
    """Make the file ready, and queue anew what was being sent when the last process ended.

    :returns: ``lanes``, each with the moment when its first message is due; ``messages`` and ``octets``, how much
        waits; ``untold``, what was settled and nobody was told of; ``expires``, when the next one expires.
    :raises OutboxFailed: when the file is another program's, or damaged, or used by another process.
    """
    try:
        # What was committed is on the disk, and the file is ours alone: another process that opens it is refused, until
        # this one ends, however it does.
        for pragma in ("locking_mode = EXCLUSIVE", "journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise OutboxFailed(f"the outbox {path} is used by another process", error) from None
        raise OutboxFailed(f"the outbox {path} cannot be used: {error}", error) from None
    except sqlite3.DatabaseError as error:
        raise OutboxFailed(f"the outbox {path} is damaged, or is none: {error}", error) from None
    try:
        [application] = connection.execute("PRAGMA application_id").fetchone()
        [version] = connection.execute("PRAGMA user_version").fetchone()
        [tables] = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        if not tables and not version:
            # One statement after the other: a script would commit what has begun.
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
        elif application != _APPLICATION:
            raise OutboxFailed(f"{path} is a database, and no outbox")
        elif version != SCHEMA_VERSION:
            raise OutboxFailed(f"the outbox {path} has version {version}, and this program knows {SCHEMA_VERSION}")
        [sound] = connection.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise OutboxFailed(f"the outbox {path} is damaged: {sound}")
        connection.execute("UPDATE messages SET state = 'queued' WHERE state = 'sending'")
        connection.execute(
            f"DELETE FROM messages WHERE state IN {_FINAL} AND told = 1 AND settled_at <= ?", (now - keep,)
        )
        found = _summary(connection)
        connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        _undo(connection)
        raise OutboxFailed(f"the outbox {path} is damaged, or cannot be written: {error}", error) from None
    except BaseException:
        _undo(connection)
        raise
    return found


def look_at(path: str) -> int:
    """How many messages wait in the outbox at *path*, which is not changed.

    :raises OutboxFailed: when it is none, damaged, of a later version, or used by another process.
    """
    if not os.path.isfile(path) or not os.access(path, os.R_OK | os.W_OK):
        raise OutboxFailed(f"the outbox {path} cannot be read and written")
    try:
        connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=0.1)
    except sqlite3.Error as error:
        raise OutboxFailed(f"the outbox {path} cannot be opened: {error}", error) from None
    try:
        [application] = connection.execute("PRAGMA application_id").fetchone()
        [version] = connection.execute("PRAGMA user_version").fetchone()
        [tables] = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        if not tables and not version:
            return 0
        if application != _APPLICATION:
            raise OutboxFailed(f"{path} is a database, and no outbox")
        if version != SCHEMA_VERSION:
            raise OutboxFailed(f"the outbox {path} has version {version}, and this program knows {SCHEMA_VERSION}")
        [count] = connection.execute(f"SELECT COUNT(*) FROM messages WHERE state NOT IN {_FINAL}").fetchone()
    except sqlite3.OperationalError as error:
        words = "is used by another process" if "locked" in str(error) else f"cannot be used: {error}"
        raise OutboxFailed(f"the outbox {path} {words}", error) from None
    except sqlite3.DatabaseError as error:
        raise OutboxFailed(f"the outbox {path} is damaged, or is none: {error}", error) from None
    finally:
        connection.close()
    return int(count)


def _summary(connection: Connection) -> dict[str, Any]:
    lanes = connection.execute(
        "SELECT lane, due_at FROM messages WHERE seq IN"
        " (SELECT MIN(seq) FROM messages WHERE state = 'queued' GROUP BY lane) ORDER BY seq"
    ).fetchall()
    messages, octets, expires = connection.execute(
        "SELECT COUNT(*), COALESCE(SUM(LENGTH(body)), 0), MIN(expires_at) FROM messages WHERE state = 'queued'"
    ).fetchone()
    untold = connection.execute(f"{_READ} WHERE state IN {_FINAL} AND told = 0 ORDER BY settled_at, seq").fetchall()
    return {
        "lanes": lanes,
        "messages": messages,
        "octets": octets,
        "expires": expires,
        "untold": [OutboxEntry(row) for row in untold],
    }


def _undo(connection: Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        # Nothing is left that could be undone.
        return


class _Transaction:
    """All of it, or nothing. An error of the database is told as ours."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise OutboxFailed(f"the outbox cannot be written: {error}", error) from None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if error is None:
            try:
                self._connection.execute("COMMIT")
                return
            except sqlite3.Error as failure:
                error = failure
        _undo(self._connection)
        if isinstance(error, sqlite3.Error):
            raise OutboxFailed(f"the outbox cannot be written: {error}", error) from None


def _entry(connection: Connection, where: str, value: Any) -> OutboxEntry | None:
    row = connection.execute(f"{_READ} WHERE {where} = ?", (value,)).fetchone()
    return None if row is None else OutboxEntry(row)


# -- from the application ----------------------------------------------------------------------------------------------


def accept(connection: Connection, values: dict[str, Any], most_settled: int) -> tuple[OutboxEntry, bool]:
    """A message is accepted.

    :param values: its columns; ``digest`` tells it from another one with its id, as what was given and not as it goes
        out, which has a date.
    :param most_settled: how many settled ones are kept.
    :returns: it, and whether it is new: one with its id may have been accepted before.
    :raises InvalidOperation: when its id is that of another message.
    :raises OutboxFailed: when it cannot be kept; then it was not accepted.
    """
    with _Transaction(connection):
        known = connection.execute("SELECT target, digest FROM messages WHERE id = ?", (values["id"],)).fetchone()
        if known is not None:
            if known != (values["target"], values["digest"]):
                raise InvalidOperation(f"the id {values['id']} is that of another message")
            entry = _entry(connection, "id", values["id"])
            assert entry is not None
            return entry, False
        columns = ", ".join(values)
        marks = ", ".join("?" * len(values))
        connection.execute(f"INSERT INTO messages ({columns}) VALUES ({marks})", tuple(values.values()))
        connection.execute(
            # Those beyond the newest: what is found is nothing or little, and the index is all that is read.
            f"DELETE FROM messages WHERE told = 1 AND seq IN (SELECT seq FROM messages"
            f" WHERE state IN {_FINAL} ORDER BY settled_at DESC, seq DESC LIMIT -1 OFFSET ?)",
            (most_settled,),
        )
        entry = _entry(connection, "id", values["id"])
    assert entry is not None
    return entry, True


def find(connection: Connection, identifier: str) -> OutboxEntry | None:
    """The message with this id."""
    return _entry(connection, "id", identifier)


def listed(connection: Connection, state: OutboxState | None, after: int, most: int) -> list[OutboxEntry]:
    """Messages in the order in which they were accepted."""
    condition, values = ("", (after, most)) if state is None else (" AND state = ?", (after, state.value, most))
    return [
        OutboxEntry(row)
        for row in connection.execute(f"{_READ} WHERE seq > ?{condition} ORDER BY seq LIMIT ?", values).fetchall()
    ]


def forget(connection: Connection, identifier: str) -> OutboxEntry | None:
    """Remove a message, unless it is being sent; what was removed."""
    with _Transaction(connection):
        entry = _entry(connection, "id", identifier)
        if entry is None or entry.state is OutboxState.SENDING:
            return None
        connection.execute("DELETE FROM messages WHERE seq = ?", (entry.seq,))
    return entry


def try_again(connection: Connection, identifier: str, now: float, expires_at: float) -> OutboxEntry | None:
    """Queue anew what had failed or expired, behind what waits; None where it had not, and where its body is gone
    because it had been delivered before a report said otherwise."""
    with _Transaction(connection):
        row = connection.execute(
            "SELECT id, target, lane, digest, body, content_type, headers, call_id, attempts FROM messages"
            " WHERE id = ? AND state IN ('failed', 'expired') AND (report = '' OR LENGTH(body) > 0)",
            (identifier,),
        ).fetchone()
        if row is None:
            return None
        connection.execute("DELETE FROM messages WHERE id = ?", (identifier,))
        connection.execute(
            "INSERT INTO messages (id, target, lane, digest, body, content_type, headers, call_id, attempts, state,"
            " queued_at, expires_at, due_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?)",
            (*row, now, expires_at, now),
        )
        return _entry(connection, "id", identifier)


# -- on the way --------------------------------------------------------------------------------------------------------


def claim(connection: Connection, lane: str, now: float) -> tuple[OutboxEntry | None, float | None]:
    """The first message of a lane is to be sent.

    :returns: it, or None and the moment when it is due, or None twice where the lane is empty.
    """
    with _Transaction(connection):
        row = connection.execute(
            "SELECT seq, due_at FROM messages WHERE lane = ? AND state = 'queued' ORDER BY seq LIMIT 1", (lane,)
        ).fetchone()
        if row is None:
            return None, None
        seq, due_at = row
        if due_at > now:
            return None, due_at
        connection.execute("UPDATE messages SET state = 'sending', attempts = attempts + 1 WHERE seq = ?", (seq,))
        entry = _entry(connection, "seq", seq)
    return entry, None


def postpone(
    connection: Connection, seq: int, due_at: float, status: int, reason: str, attempted: bool
) -> tuple[OutboxEntry | None, bool]:
    """An attempt came to nothing, and there is to be another one; unless a report came meanwhile.

    :param attempted: whether it counts as one.
    :returns: the message, and whether that is what became of it.
    """
    with _Transaction(connection):
        done = connection.execute(
            "UPDATE messages SET state = 'queued', due_at = ?, status = ?, reason = ?, attempts = attempts - ?"
            " WHERE seq = ? AND state = 'sending'",
            (due_at, status, reason, 0 if attempted else 1, seq),
        )
        return _entry(connection, "seq", seq), done.rowcount > 0


def settle(
    connection: Connection, seq: int, state: OutboxState, status: int, reason: str, now: float
) -> tuple[OutboxEntry | None, bool]:
    """An attempt was the last one; unless a report came meanwhile, which counts for more.

    :returns: the message, and whether that is what became of it.
    """
    emptied = "x''" if state is OutboxState.DELIVERED else "body"
    with _Transaction(connection):
        done = connection.execute(
            f"UPDATE messages SET state = ?, status = ?, reason = ?, settled_at = ?, told = 0, body = {emptied}"
            " WHERE seq = ? AND state = 'sending'",
            (state.value, status, reason, now, seq),
        )
        return _entry(connection, "seq", seq), done.rowcount > 0


def expire(connection: Connection, now: float, keep: float, most: int) -> tuple[list[OutboxEntry], float | None]:
    """Settle what has waited for too long, and forget what was settled long ago.

    :param most: how many at a time.
    :returns: them, and when the next one expires.
    """
    with _Transaction(connection):
        rows = connection.execute(
            f"{_READ} WHERE state = 'queued' AND expires_at <= ? ORDER BY expires_at LIMIT ?", (now, most)
        ).fetchall()
        for row in rows:
            connection.execute(
                "UPDATE messages SET state = 'expired', settled_at = ?, told = 0 WHERE seq = ?", (now, row[0])
            )
        connection.execute(
            f"DELETE FROM messages WHERE state IN {_FINAL} AND told = 1 AND settled_at <= ?", (now - keep,)
        )
        [following] = connection.execute("SELECT MIN(expires_at) FROM messages WHERE state = 'queued'").fetchone()
        expired = [entry for row in rows if (entry := _entry(connection, "seq", row[0])) is not None]
    return expired, following


def report(
    connection: Connection, identifier: str, host: str, said: str, state: OutboxState | None, now: float
) -> tuple[OutboxEntry, OutboxEntry] | None:
    """A report on a message came.

    :param host: who sends it: it has to be the host that the message is for.
    :param said: what it says.
    :param state: what the message is by it; None where that does not change.
    :returns: the message as it was, and as it is now; None where the report changes nothing.
    """
    with _Transaction(connection):
        row = connection.execute("SELECT seq, lane FROM messages WHERE id = ?", (identifier,)).fetchone()
        before = None if row is None else _entry(connection, "seq", row[0])
        if before is None or row[1].rpartition("@")[2] != host.lower():
            return None
        if before.report in (said, "displayed") or (before.state is OutboxState.REPORTED and said == "failed"):
            return None
        become = before.state if state is None else state
        settled_at = now if become.is_final and not before.state.is_final else before.settled_at
        emptied = "x''" if become is OutboxState.REPORTED else "body"
        connection.execute(
            f"UPDATE messages SET report = ?, state = ?, settled_at = ?, told = 0, body = {emptied} WHERE seq = ?",
            (said, become.value, settled_at, before.seq),
        )
        after = _entry(connection, "seq", before.seq)
    return None if after is None else (before, after)


def told(connection: Connection, seq: int, state: OutboxState) -> None:
    """The application has been told what became of a message."""
    with _Transaction(connection):
        connection.execute("UPDATE messages SET told = 1 WHERE seq = ? AND state = ?", (seq, state.value))
