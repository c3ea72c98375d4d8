"""What is searched: a study for each direction and kind of schedule, with a space that has no conditions."""

import hashlib
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna

from engines.run import Run
from engines.steer.directions import Steering
from engines.steer.fields import Kind
from engines.steer.heatmap import steering_fields
from engines.steer.sources import Role, Sources
from engines.steer.subject import Subject

DATABASE = "optuna.db"
_BUSY = 120.0
"""Seconds to wait for who writes."""
Params = dict[str, Any]


@dataclass(frozen=True)
class Space:
    """One study: a direction, and how its strength goes over the tokens."""

    direction: str
    kind: Kind
    role: Role
    layers: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.direction if self.kind == "constant" else f"{self.direction}-{self.kind}"


def spaces(subject: Subject, sources: Sources) -> list[Space]:
    """All studies, those of directions under test first; each has the same budget."""
    return [
        Space(name, kind, sources.roles[name], found.layers)
        for name, found in sources.found.items()
        for kind in subject.recipe.search.kinds
    ]


def open_storage(run: Run) -> Any:
    """The studies' database. Several processes read it while one of them writes; the others wait for it."""
    # Its messages go our way, and the log of each new trial is noise beside the metrics.
    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    options = {"connect_args": {"timeout": _BUSY}}
    storage = optuna.storages.RDBStorage(f"sqlite:///{run.dir / DATABASE}", engine_kwargs=options)
    with storage.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")  # the file remembers it
    return storage


def copy_database(run: Run, target: Path) -> None:
    """The studies as one file, whole or absent: what is still in the write-ahead log is no part of the first."""
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    engine = open_storage(run).engine
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("VACUUM INTO ?", (str(partial),))
    engine.dispose()
    partial.replace(target)


def sampler(seed: int, study: str, number: int) -> Any:
    """What proposes trial `number`. Seeded by the number, so that with the same trials before it, it proposes the same
    whoever asks and whatever was killed in between; how often anything was drawn before plays no part."""
    digest = hashlib.sha256(f"{seed}/{study}/{number}".encode()).digest()
    return optuna.samplers.TPESampler(
        seed=int.from_bytes(digest[:4], "big"), multivariate=True, constant_liar=True, n_startup_trials=0
    )


def save_sampler(path: Path, made: Any) -> None:
    """For whoever wants to go on with the study in Optuna itself: whole or absent."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")  # helpers write it at the same time
    partial.write_bytes(pickle.dumps(made))
    partial.replace(path)


def suggest(trial: Any, space: Space, low: float, high: float) -> Params:
    """Draw what is not drawn yet of a trial; all of it is then in the database."""
    layers = space.layers
    steps = {later - layer for layer, later in pairwise(layers)}
    if len(steps) == 1:
        params: Params = {"layer": trial.suggest_int("layer", layers[0], layers[-1], step=steps.pop())}
    else:
        params = {"layer": trial.suggest_categorical("layer", layers)}
    params["alpha"] = trial.suggest_float("alpha", low, high)
    if space.kind == "dac":
        params["top_p"] = trial.suggest_float("top_p", 0.3, 0.95)
        params["cap"] = trial.suggest_float("cap", 0.25, 2.0)
    return params


def startup_params(space: Space, layer: int, alpha: float) -> Params:
    """A cell of the screen in the study's space."""
    params: Params = {"layer": layer, "alpha": alpha}
    return params | ({"top_p": 0.9, "cap": 2.0} if space.kind == "dac" else {})


def steering_of(subject: Subject, sources: Sources, space: Space, params: Mapping[str, Any]) -> Steering:
    """The steering that a trial is."""
    fields = steering_fields(subject)
    if space.kind == "dac":
        fields["schedule"] = {"kind": "dac", "top_p": params["top_p"], "cap": params["cap"]}
    return sources.found[space.direction].steering([params["layer"]], params["alpha"], **fields)
