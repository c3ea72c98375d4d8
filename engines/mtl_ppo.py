"""Proximal policy optimization of several tasks at once, with surgery on the gradients that conflict.

A policy and a critic learn from completions of every task in each step. The gradients of the tasks become one by the
method of the recipe: pooled, equally weighted, PCGrad, or others; all beside a placebo, and with statistics of what
conflicts that are calibrated against noise. Several processes may share a job, one for each of its GPUs.
"""

from typing import ClassVar, Literal

from engines.ppo.fields import MtlPpoRecipe
from engines.run import Run


class Recipe(MtlPpoRecipe):
    """Reinforcement learning of several tasks of the suite at once: PPO with gradient surgery."""

    outputs: ClassVar[tuple[str, ...]] = ("model",)
    parallelism: ClassVar[Literal["one", "shared", "own"]] = "shared"

    engine: Literal["mtl_ppo"]


def resume_step(run: Run) -> int | None:
    """Steps that the newest complete checkpoint has behind it."""
    from engines.ppo.checkpoints import Checkpoints, state_of

    newest = Checkpoints(run.checkpoints, keep=1).newest()
    return int(state_of(newest)["step"]) if newest else None


def run(recipe: Recipe, run: Run) -> None:
    """Questions, models, training, and the policy that is left."""
    from engines.distributed.world import joined_world
    from engines.ppo.finishing import finish, snapshot
    from engines.ppo.setting_up import set_up
    from engines.sandbox import Layer, open_sandbox
    from engines.surgery.torchjd_methods import check_installed

    for text in recipe.remarks():
        run.events.message(text, "warning")
    check_installed(recipe.mtl.effective)
    required = recipe.data.require_sandbox
    with (
        open_sandbox(Layer[required] if required else None) as sandbox,
        joined_world() as world,
    ):
        trainer = set_up(recipe, run, world, sandbox)
        before = snapshot(trainer.models)
        run.stopped_early = not trainer.train()
        trainer.generator.close()
        if world.leads and not run.stopped_early:
            finish(trainer, before)
        world.wait()
