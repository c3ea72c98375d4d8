"""The worker: `python -P -m engines RUN_DIR` runs one attempt at one job.

Alone in catching exceptions: whatever an engine raises becomes the final event, a traceback in `worker.log`, and the
exit code. 0 means succeeded, 1 failed, and 75 (EX_TEMPFAIL) that it was asked to stop and can go on from a checkpoint.
Several of it share a job where `engines.distributed.launcher` has started them.
"""

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from engines.distributed.endings import STOPPED, own_directory, report_failure
from engines.events import EventWriter
from engines.recipe.document import read_document
from engines.recipe.errors import RecipeError
from engines.recipe.frozen import look_around
from engines.recipe.schemas import recipe_class
from engines.run import Run, checkpoint_step


def main(run_dir: Path) -> int:
    rank = int(os.environ.get("RANK", "0"))
    process = "" if "RANK" not in os.environ else f" process {rank}"
    logging.basicConfig(
        level=logging.INFO, format=f"%(asctime)s{process} %(levelname)s %(name)s: %(message)s"
    )
    launch = json.loads((run_dir / "launch.json").read_text())
    body = read_document(run_dir / launch.get("recipe", "recipe.yaml")).data
    recipe = recipe_class(body["engine"]).model_validate(body)
    # Of the processes that share a job, the first speaks for all.
    events = EventWriter(own_directory(run_dir, rank))
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
    with ExitStack() as connections:
        try:
            wait_for_others = _joined(connections) if recipe.parallelism == "shared" else None
            if rank == 0:
                look_around(recipe, run_dir, events)
            engine.run(recipe, run)
            if wait_for_others is not None:
                wait_for_others()
        except Exception as error:
            # Before the connections are closed, which the other processes would see as errors of their own.
            _report(error, events)
            return 1
    if run.stopped_early:
        events.emit("stopped")
        return STOPPED
    events.emit("succeeded")
    return 0


def _joined(connections: ExitStack) -> Callable[[], None] | None:
    """Connects the processes that share a job, until the stack is closed. Gives what waits for all of them."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return None
    from engines.distributed.world import joined_world

    return connections.enter_context(joined_world()).wait


def _report(error: Exception, events: EventWriter) -> None:
    traceback.print_exc()
    hint = error.hint if isinstance(error, RecipeError) else ""
    if isinstance(error, ModuleNotFoundError):
        hint = "`pip install 'tunedeck[train]'` brings the training stack"
    text = error.message if isinstance(error, RecipeError) else f"{type(error).__name__}: {error}"
    fields = {"error": text, "hint": hint, "traceback": traceback.format_exc()}
    if not report_failure(fields):
        events.emit("failed", **fields)


# vLLM and data loaders import the main module again in their own processes.
if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
