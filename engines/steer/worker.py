"""A helper of a search: `python -P -m engines.steer.worker RUN_DIR` evaluates trials until none are left.

It is started by the job's own process, once all stages before the search have left their files, and ends with it.
"""

import logging
import os
import sys
from pathlib import Path

from engines.events import EventWriter
from engines.run import Run
from engines.steer.fields import SteeringRecipe
from engines.steer.journal import StopRequested
from engines.steer.searching import read_worker
from engines.steer.stages import Stages


class Helper(Run):
    """Asked to stop as well when who started it has ended, however that came."""

    parent: int = 0

    @property
    def stop_requested(self) -> bool:
        return self.stop.raised or os.getppid() != self.parent

    @stop_requested.setter
    def stop_requested(self, value: bool) -> None:
        self.stop.raised = value


class Quiet(EventWriter):
    """Events are the business of the job's own process."""

    def _write(self, event: dict[str, object]) -> None:
        pass


def main(run_dir: Path) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    told = read_worker(run_dir)
    recipe = SteeringRecipe.model_validate({k: v for k, v in told["recipe"].items() if k != "engine"})
    run = Helper(
        dir=run_dir,
        events=Quiet(run_dir),
        seed=recipe.seed,
        name=told["name"],
        cache=Path(told["cache"]) if told["cache"] else None,
        inputs={alias: Path(path) for alias, path in told["inputs"].items()},
    )
    run.parent = told["parent"]
    run.stop_on_sigterm()
    try:
        Stages(recipe, run).help()
    except StopRequested:
        return 75
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
