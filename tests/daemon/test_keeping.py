"""`keep:` in config.yaml: once a day, and only what is configured."""

from typing import Any

from store import paths
from store.database import Database
from store.pruning import read_marker


def test_a_daemon_keeps_the_home_in_order_as_configured(
    database: Database, submit: Any, ended: Any, start_daemon: Any, until: Any
) -> None:
    daemon = start_daemon()
    job_id = submit("sh", "-c", "cd $TUNEDECK_RUN_DIR; mkdir checkpoints model; touch checkpoints/a model/b")
    ended(job_id)
    run_dir = database.run_dir(job_id)
    daemon.terminate()
    daemon.wait()
    assert (run_dir / "checkpoints/a").exists()
    assert not (database.home / "keeping.stamp").exists()
    paths.config(database.home).write_text("keep: {checkpoints: 0h, models: 30 days}")
    start_daemon()
    until(lambda: not (run_dir / "checkpoints").exists() and read_marker(run_dir))

    assert (run_dir / "model/b").exists()
    until(lambda: "checkpoints older than 0 h: 1 paths" in paths.daemon_log(database.home).read_text())
