"""The worker: `python -P -m engines RUN_DIR` runs one attempt at one job.

Alone in catching exceptions: whatever an engine raises becomes the final event, a traceback in `worker.log`, and the
exit code. 0 means succeeded, 1 failed, and 75 (EX_TEMPFAIL) that it was asked to stop and can go on from a checkpoint.
"""

import json
import logging
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path

from engines.events import EventWriter
from engines.recipe.document import read_document
from engines.recipe.errors import RecipeError
from engines.recipe.frozen import look_around
from engines.recipe.schemas import recipe_class
from engines.run import Run, checkpoint_step

STOPPED = 75


def main(run_dir: Path) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    launch = json.loads((run_dir / "launch.json").read_text())
    body = read_document(run_dir / launch.get("recipe", "recipe.yaml")).data
    recipe = recipe_class(body["engine"]).model_validate(body)
    events = EventWriter(_log_of_this_process(run_dir))
    run = Run(
        dir=run_dir,
        events=events,
        seed=recipe.seed,
        attempt=launch["attempt"],
        name=launch["name"],
        cache=Path(launch["cache"]) if "cache" in launch else None,
        inputs={alias: Path(path) for alias, path in launch["inputs"].items()},
    )
    run.stop_on_sigterm()
    engine = import_module(f"engines.{body['engine']}")
    resume_step = getattr(engine, "resume_step", checkpoint_step)(run)
    events.emit("started", attempt=run.attempt, pid=os.getpid(), resume_step=resume_step)
    try:
        if os.environ.get("RANK", "0") == "0":
            look_around(recipe, run_dir, events)
        engine.run(recipe, run)
    except Exception as error:
        traceback.print_exc()
        hint = error.hint if isinstance(error, RecipeError) else ""
        if isinstance(error, ModuleNotFoundError):
            hint = "`pip install 'tunedeck[train]'` brings the training stack"
        text = error.message if isinstance(error, RecipeError) else f"{type(error).__name__}: {error}"
        events.emit("failed", error=text, hint=hint, traceback=traceback.format_exc())
        return 1
    if run.stopped_early:
        events.emit("stopped")
        return STOPPED
    events.emit("succeeded")
    return 0


def _log_of_this_process(run_dir: Path) -> Path:
    """Of the processes that `accelerate launch` starts for one job, the first speaks for all."""
    rank = int(os.environ.get("RANK", "0"))
    if rank == 0:
        return run_dir
    own = run_dir / f"process-{rank}"
    own.mkdir(exist_ok=True)
    return own


# vLLM and data loaders import the main module again in their own processes.
if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
