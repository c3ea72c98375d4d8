"""Where everything lasts: the home directory and the names inside it."""

import os
from pathlib import Path


def home() -> Path:
    """`$TUNEDECK_HOME`, else `$XDG_DATA_HOME/tunedeck`, else `~/.local/share/tunedeck`. Absolute; may not exist yet."""
    if chosen := os.environ.get("TUNEDECK_HOME"):
        return Path(chosen).expanduser().absolute()
    return default_home()


def default_home() -> Path:
    """The home of somebody who has chosen none."""
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "tunedeck"


def create(home: Path) -> None:
    """Makes the home directory, readable by its owner alone."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    runs(home).mkdir(mode=0o700, exist_ok=True)


def database(home: Path) -> Path:
    return home / "tunedeck.db"


def runs(home: Path) -> Path:
    return home / "runs"


def run_dir(home: Path, job_id: int) -> Path:
    return runs(home) / str(job_id)


def submission(home: Path, experiment_id: int) -> Path:
    """An experiment as it was submitted; see `store/journal.py`."""
    return home / "experiments" / f"{experiment_id}.json"


def journal(home: Path, experiment_id: int) -> Path:
    """What has become of its jobs since."""
    return home / "experiments" / f"{experiment_id}.journal.jsonl"


def standing(home: Path) -> Path:
    """Groups and schedules; see `store/journal.py`."""
    return home / "experiments" / "standing.json"


def cache(home: Path) -> Path:
    """What runs share and can make again: completions. It may be deleted at any time."""
    return home / "cache"


def config(home: Path) -> Path:
    """What the owner of the machine sets: see `daemon/settings.py`. It need not exist."""
    return home / "config.yaml"


def nudge(home: Path) -> Path:
    """A FIFO that the daemon listens on; a byte in it means: look now."""
    return home / "nudge"


def daemon_lock(home: Path) -> Path:
    return home / "daemon.lock"


def daemon_log(home: Path) -> Path:
    return home / "daemon.log"
