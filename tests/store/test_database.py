"""Opening, creating and upgrading the database."""

import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from store import paths
from store.database import REVISION, Database, StoreError, open_database
from store.schema import metadata


def test_the_newest_migration_is_the_one_that_opening_expects() -> None:
    folder = Path(paths.__file__).parent / "migrations"

    assert ScriptDirectory(str(folder)).get_current_head() == REVISION


def test_migrations_lead_to_the_schema(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection)

        assert compare_metadata(context, metadata) == []


def test_the_home_is_private(database: Database) -> None:
    assert stat.S_IMODE(database.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(paths.database(database.home).stat().st_mode) == 0o600


def test_a_database_of_every_older_revision_still_opens(tmp_path: Path) -> None:
    """Each `old/<revision>.sql` is a dump as that version wrote it, with a finished job inside."""
    from store import jobs, metrics, results

    dumps = sorted((Path(__file__).parent / "old").glob("*.sql"))
    assert dumps
    for dump in dumps:
        home = tmp_path / dump.stem
        paths.create(home)
        with sqlite3.connect(paths.database(home)) as connection:
            connection.executescript(dump.read_text())
        connection.close()
        database = open_database(home)

        (job,) = jobs.list_jobs(database)
        assert (job.name, job.status) == ("train", "succeeded")
        assert [point.value for point in metrics.read_points(database, job.id, "loss")] == [2.0, 1.0]
        assert [score.name for score in results.list_scores(database, [job.id])] == ["strict"]
        with database.read() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        database.close()


def test_a_file_that_is_no_database_is_left_alone(home: Path) -> None:
    paths.create(home)
    paths.database(home).write_bytes(b"this is not a database" * 100)

    with pytest.raises(StoreError, match="cannot be opened: file is not a database"):
        open_database(home)
    assert paths.database(home).read_bytes().startswith(b"this is not")


def test_a_database_of_a_newer_version_is_refused(database: Database, home: Path) -> None:
    with sqlite3.connect(paths.database(home)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(StoreError, match="newer version"):
        open_database(home)


def test_many_may_open_a_new_home_at_once(home: Path) -> None:
    failures: list[Exception] = []

    def open_it() -> None:
        try:
            open_database(home).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
