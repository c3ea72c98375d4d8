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


def test_an_upgrade_keeps_the_queue_and_who_holds_which_card(home: Path) -> None:
    """A database of revision 0002, as its own migrations make it, with a job that waits and one that has a GPU."""
    from alembic import command
    from alembic.config import Config

    from store import lifecycle, machine
    from store.database import make_engine

    paths.create(home)
    paths.database(home).touch()
    engine, config = make_engine(paths.database(home)), Config()
    config.set_main_option("script_location", "store:migrations")
    job = "INSERT INTO jobs (id, experiment_id, name, engine, recipe, status, priority, held, cancel_requested, gpus,"
    job += " retries_left, attempt, created_at, events_offset, unreadable_lines) VALUES "
    with engine.connect().execution_options(write=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
        connection.exec_driver_sql("INSERT INTO experiments VALUES (1, 'old', 1.0, '', '', '{}')")
        connection.exec_driver_sql(
            job + "(1, 1, 'runs', 'command', '{}', 'running', 0, 0, 0, 1, 0, 1, 1.0, 0, 0)"
        )
        connection.exec_driver_sql(
            job + "(2, 1, 'waits', 'command', '{}', 'queued', 0, 0, 0, 1, 0, 0, 1.0, 0, 0)"
        )
        connection.exec_driver_sql("INSERT INTO gpu_reservations VALUES ('GPU-a', 1)")
    engine.dispose()
    database = open_database(home)

    assert machine.reservations(database) == {"GPU-a": [machine.Reservation(1, None)]}
    assert lifecycle.claim(database, 0, ["GPU-a"]) is None
    claimed = lifecycle.claim(database, 0, ["GPU-a", "GPU-b"])
    assert claimed is not None
    assert (claimed[0].name, claimed[0].fallbacks, claimed[1]) == ("waits", 0, ["GPU-b"])
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
