"""`keep:` in `config.yaml`: how long what can grow without end is kept. Once a day, and only where it is configured.

keep:
  checkpoints: 3 days      # of succeeded jobs, counted from their end
  runs: 30 days            # of ended jobs: checkpoints, logs and debug files
  models: 90 days          # of ended jobs, unless a model that stays was made from it
  cache: 2 weeks           # since it was used last
  orphans: 1 week
  databases: 90 days       # that a rebuild has set aside

`python -P -m daemon.keeping` does it, as a process of its own: deleting large files takes minutes.
"""

import argparse
import logging
import sys
import time
from pathlib import Path

from daemon.settings import KeepSettings, read_settings
from engines.recipe.errors import RecipeError
from store import paths
from store.database import StoreError, open_database
from store.pruning import prune
from store.retention import Wish, find_victims

log = logging.getLogger("daemon.keeping")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -P -m daemon.keeping", description=__doc__)
    parser.add_argument("--home", type=Path, default=paths.home())
    home = parser.parse_args().home
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        keep(home, read_settings(paths.config(home)).keep)
    except (RecipeError, StoreError) as error:
        log.error("%s", error)
        return 1
    return 0


def keep(home: Path, settings: KeepSettings) -> None:
    """Prunes what is older than configured, one kind after the other."""
    database = open_database(home)
    for kind, age in settings.ages().items():
        victims, spared = find_victims(database, Wish((kind,), age), time.time())
        done = prune(database, victims)
        if done.paths or spared:
            stays = f"; of {len(spared) + done.spared} jobs it stays, as others need it"
            log.info(
                "%s older than %g h: %d paths, %.1f MiB%s",
                kind, age / 3600, done.paths, done.bytes / 2**20, stays if spared or done.spared else "",
            )  # fmt: skip
    database.close()


if __name__ == "__main__":
    sys.exit(main())
