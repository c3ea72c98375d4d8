"""Opening the database: WAL, foreign keys, migrations, and two kinds of transaction.

Reads are short, so that they never hold back a checkpoint of the write-ahead log. Writes begin with
`BEGIN IMMEDIATE`: whoever reads before it writes sees what will still be true when it commits.
"""

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from store import faults, journal, paths
from store.job_filter import regexp

REVISION = "0005"
"""The newest migration. Opening compares it with the file, so that Alembic is only imported when one is due."""

BUSY_TIMEOUT_SECONDS = 30

REBUILD_HINT = "hint: `tunedeck down`, then `tunedeck doctor --reindex` rebuilds it from the run directories; running jobs go on"

SQLITE_VERSION = sqlite3.sqlite_version_info


class StoreError(Exception):
    """The database cannot be opened or used; the message says why and what to do."""


class DamagedError(StoreError):
    """The file is no sound database any more."""


class Database:
    """The store of one home directory."""

    def __init__(self, home: Path, engine: Engine) -> None:
        self.home = home
        self._engine = engine
        self._journal = journal.Journal(home)

    @property
    def moment(self) -> float | None:
        """The past moment that is read, in Unix seconds; None for the present."""
        return None

    def now(self) -> float:
        """Unix seconds from which reads count ages."""
        return time.time()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A short read: everything inside sees one moment."""
        with self._explained(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A write transaction: commits at the end, rolls back on an exception. The past is not written to."""
        if self.moment is not None:
            raise StoreError("the past cannot be changed\nhint: return to now first")
        with (
            self._explained(),
            self._engine.connect().execution_options(write=True) as connection,
            connection.begin(),
        ):
            journal.begin(connection)
            yield connection
            changes = journal.collect(connection)
        if changes:
            faults.point("journal.behind")
            self._journal.append(changes)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            path = paths.database(self.home)
            if is_damage(error.orig):
                raise DamagedError(f"{path}: {error.orig}\n{REBUILD_HINT}") from error
            raise StoreError(f"{path}: {error.orig}") from error

    @contextmanager
    def changes(self) -> Iterator[Callable[[], float]]:
        """Gives a function whose result differs after any commit by anyone; asking costs microseconds."""
        with self._engine.connect() as connection:
            cursor = connection.connection.cursor()
            yield lambda: int(cursor.execute("PRAGMA data_version").fetchone()[0])

    def run_dir(self, job_id: int) -> Path:
        return paths.run_dir(self.home, job_id)

    def close(self) -> None:
        self._engine.dispose()


def is_damage(error: BaseException | None) -> bool:
    """Whether SQLite says that the file itself is broken, and not that it is busy, full or read-only."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_database(home: Path | None = None, file: Path | None = None) -> Database:
    """Opens the store, creating or upgrading it where that is due. `file` is another one than the home's own."""
    home = home or paths.home()
    try:
        paths.create(home)
    except OSError as error:
        raise StoreError(
            f"{home}: cannot be used as the home directory: {error.strerror}\n"
            "hint: set TUNEDECK_HOME to a directory that you can write to"
        ) from error
    path = file or paths.database(home)
    if file is None:
        _refuse_in_recovery(home)
    engine = make_engine(path)
    try:
        if _revision(path) != REVISION:
            _migrate(home, path, engine)
    except (DBAPIError, sqlite3.Error) as error:
        engine.dispose()
        cause = getattr(error, "orig", None) or error
        if is_damage(cause):
            raise DamagedError(f"{path}: cannot be opened: {cause}\n{REBUILD_HINT}") from error
        raise StoreError(f"{path}: cannot be opened: {getattr(error, 'orig', None) or error}") from error
    return Database(home, engine)


def _refuse_in_recovery(home: Path) -> None:
    """While a damaged database lies aside and none has taken its place, an empty one would look like a lost queue."""
    aside = sorted(home.glob(f"{paths.database(home).name}.corrupt-*"))
    if aside and not paths.database(home).exists():
        raise StoreError(
            f"{home}: in recovery mode: the database was damaged and lies aside as {aside[-1].name}\n{REBUILD_HINT}"
        )


def make_engine(path: Path, mode: str = "rw") -> Engine:
    """Connections to a database file; `mode` is SQLite's, `ro` for those that never write."""
    # `rw` makes no file: where a damaged one was set aside, an empty one would look like a lost queue.
    url = URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": mode, "uri": "true"})
    engine = create_engine(
        url,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "isolation_level": None, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: Any) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.create_function("regexp", 2, regexp, deterministic=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # Straight to the driver: this comes before every statement or two.
        raw: Any = connection.connection.driver_connection
        raw.execute("BEGIN IMMEDIATE" if connection.get_execution_options().get("write") else "BEGIN")

    return engine


def _revision(path: Path) -> str | None:
    if not path.exists():
        return None
    with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            raise
    return str(row[0]) if row else None


def _migrate(home: Path, path: Path, engine: Engine) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", "store:migrations")
    # Two processes may find an old database at once; the second finds nothing left to do.
    lock = os.open(home / "migrate.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path.touch(mode=0o600)
        with engine.connect().execution_options(write=True) as connection, connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"{path}: was written by a newer version of Tunedeck\nhint: upgrade this one"
        ) from error
    finally:
        os.close(lock)
