"""One attempt at a job in a process of its own that ends itself with SIGKILL at a given place; started by `kill_at`.

Places: `batch N` before the N-th batch of completions is handed on, `before NAME` and `after NAME` around the writing of
a file, `step N` in the middle of optimizer step N; of a search, `after ask N` and `before tell N` and `after tell N` around
the N-th call, and `suggest N` before the N-th strength is drawn, when the trial's layer is in the database. Every completion that is handed on is noted in `generated.txt`.
"""

import os
import signal
from importlib import import_module
from pathlib import Path
from typing import Any

from engines.events import EventWriter
from engines.generation.hf import HfGenerator
from engines.pruning import round_files
from engines.run import Run
from engines.training.callbacks import StopOnRequest

run_dir, engine, body, inputs, where = Path(arguments[0]), *arguments[1:]  # type: ignore[name-defined]  # noqa: F821
kind, _, which = where.partition(" ")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


stream, batches = HfGenerator.stream, 0


def noted(self: Any, requests: Any, sampling: Any, stop: Any, seed: Any) -> Any:
    global batches
    weights = sum(float(tensor.double().sum()) for tensor in self.model.state_dict().values())
    for batch in stream(self, requests, sampling, stop, seed):
        batches += 1
        if kind == "batch" and batches == int(which):
            die()
        with (run_dir / "generated.txt").open("a") as file:
            file.writelines(
                f"{weights} {sampling.temperature} {seed if sampling.temperature else 0} {requests[index].sample} "
                f"{requests[index].prompt!r} {completion.token_ids}\n"
                for index, completion in batch
                if stop  # the check of what was saved generates everything twice on purpose, and stops at nothing
            )
        yield batch


write = round_files.write_whole


def watched(path: Path, text: str) -> None:
    name = str(path.relative_to(run_dir))
    if where == f"before {name}":
        die()
    write(path, text)
    if where == f"after {name}":
        die()


def in_the_middle(self: Any, args: Any, state: Any, control: Any, **_: Any) -> None:
    if kind == "step" and state.global_step == int(which) - 1:
        die()


HfGenerator.stream = noted  # type: ignore[method-assign]
round_files.write_whole = watched  # type: ignore[attr-defined]
StopOnRequest.on_substep_end = in_the_middle  # type: ignore[method-assign]

if engine == "steering":
    import optuna

    from engines.steer import journal, race, trials

    calls: dict[str, int] = {}

    def counted(owner: Any, name: str, event: str) -> None:
        original = getattr(owner, name)

        def call(*positional: Any, **named: Any) -> Any:
            calls[event] = calls.get(event, 0) + 1
            if where in (f"before {event} {calls[event]}", f"{event} {calls[event]}"):
                die()
            made = original(*positional, **named)
            if where == f"after {event} {calls[event]}":
                die()
            return made

        setattr(owner, name, call)

    counted(optuna.study.Study, "ask", "ask")
    counted(optuna.study.Study, "tell", "tell")
    counted(optuna.trial.Trial, "suggest_float", "suggest")
    counted(race, "append_lines", "append")
    journal.write_whole = watched  # type: ignore[attr-defined]
    trials.write_whole = watched  # type: ignore[attr-defined]

module = import_module(f"engines.{engine}")
recipe = module.Recipe.model_validate_json(body)
run = Run(dir=run_dir, events=EventWriter(run_dir), seed=recipe.seed, name="job", inputs=inputs)
run.events.emit("started", attempt=1, resume_step=getattr(module, "resume_step", lambda _: None)(run))
module.run(recipe, run)
