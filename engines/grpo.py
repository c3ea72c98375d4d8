"""Group relative policy optimization: learn from one's own completions, by which of a group are right (TRL).

Starts, like `sft` stage `full`, from an adapter that knows the format. What is generated is kept until the next
checkpoint, so that a killed run goes on where it was, to the same losses.
"""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.training.grpo_fields import GrpoRecipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from engines.tasks.example import Example
    from engines.training.budget import Meter
    from engines.training.difficulty import Filtered


class Recipe(GrpoRecipe):
    """Reinforcement learning with verifiable rewards on a task's questions."""

    outputs: ClassVar[tuple[str, ...]] = ("model",)
    parallelism: ClassVar[Literal["one", "shared", "own"]] = "shared"

    engine: Literal["grpo"]


def run(recipe: Recipe, run: Run) -> None:
    """Load, check, draw questions, train, check, save."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # trainers report their start otherwise
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")  # its rollout function may still change

    from transformers import set_seed

    from engines.distributed.world import World
    from engines.modeling.loading import choose_device, lineage, load_model, load_tokenizer, save_model
    from engines.modeling.tokens import end_token_ids
    from engines.prompts.rendering import resolve_prefill
    from engines.training import postflight, preflight
    from engines.training.budget import Meter
    from engines.training.callbacks import EventCallback
    from engines.training.grpo_trainer import open_trainer, trainer_arguments
    from engines.training.live_groups import without_reference
    from engines.training.questions import lay_out
    from engines.training.reporting import check_reporters
    from engines.training.resume import train, without_autocast
    from engines.training.rollouts import Rollouts

    check_reporters(recipe.report_to)
    world = World()
    meter = Meter(run.dir, writes=world.leads)
    for text in recipe.remarks():
        run.events.message(text, "warning")
    device = choose_device(recipe.device)
    tokenizer = load_tokenizer(recipe.model, run)
    spec = resolve_prefill(tokenizer, recipe.prompt)
    questions = _questions(recipe, run, tokenizer, spec, meter, device)
    run.stopped_early = not questions.complete
    if run.stopped_early:
        return
    examples, prompts = zip(*questions.kept, strict=True)
    order, dataset = lay_out(recipe, run, questions.kept)

    set_seed(run.seed)  # a fresh adapter starts from random numbers
    lora, chain = recipe.lora, recipe.chain
    model = load_model(
        recipe.model, run, tokenizer=tokenizer, device=device, trainable=True, lora=lora, chain=chain
    )
    made_from = lineage(recipe.model, run, lora=lora, chain=chain)
    trainable = preflight.check_trainable(model)
    preflight.check_precision(model.parameters(), recipe.peak_learning_rate)
    preflight.check_pad(tokenizer.pad_token_id, end_token_ids(tokenizer, model))

    events = EventCallback(run, meter, passes=len(order.positions) / len(prompts))
    generator = _sampler(recipe, run, model, tokenizer)
    rollouts = Rollouts(generator, tokenizer, spec, recipe.sampling, run.seed, run.dir, meter)
    arguments = trainer_arguments(recipe, run, device, len(order.positions))
    trainer = open_trainer(recipe, run, model, tokenizer, spec, arguments, dataset, [events, rollouts])
    if recipe.use_vllm:
        trainer.sample_with(generator)
    before = postflight.snapshot(model)
    train(trainer, run.resume_from)
    run.stopped_early = run.stop_requested and trainer.state.global_step < trainer.state.max_steps
    meter.save()
    if recipe.use_vllm:
        generator.close()
    if run.stopped_early:
        return

    if not events.trained_tokens and not recipe.beta and not recipe.entropy_coef:
        raise RecipeError(
            "nothing was trained: in every group all completions earned the same, or were cut off",
            hint="start from a model that solves some questions, use `difficulty`, or raise `num_generations` or "
            "`max_completion_length`",
        )
    changed = postflight.check_trained(model, before, run.events)
    if not world.leads:
        return
    model = without_reference(without_autocast(model).eval())
    save_model(model, tokenizer, run.model, made_from)
    postflight.check_saved(model, tokenizer, run.model, list(prompts[:8]))
    meter.budget.prompts, meter.budget.steps = len({*order.positions}), trainer.state.global_step
    meter.budget.trained_tokens = events.trained_tokens
    meter.save()
    meter.budget.emit(run.events)
    run.events.emit("score", name="budget/prompts_drawn", value=questions.drawn, fields={})
    counts = {
        "prompts_drawn": questions.drawn,
        "budget": asdict(meter.budget),
        "tokens": events.tokens,
        "trainable_parameters": trainable,
        "changed_parameters": changed,
        "lineage": made_from,
    }
    _write_record(recipe, run, device, examples, counts)


def _questions(
    recipe: Recipe, run: Run, tokenizer: Any, spec: PromptSpec, meter: "Meter", device: "torch.device"
) -> "Filtered":
    """What to train on, found out with the starting model where a difficulty filter asks for it."""
    from transformers import AutoConfig

    from engines.generation.context import context_length
    from engines.generation.open import open_generator
    from engines.modeling.sources import resolve
    from engines.training.difficulty import Prober
    from engines.training.questions import draw_questions

    def open_prober() -> Prober:
        assert recipe.difficulty is not None
        generator = open_generator(
            recipe.model, recipe.difficulty.generation, run, tokenizer=tokenizer, device=device
        )
        return Prober(generator, recipe.sampling, spec, run.seed, meter, recipe.reward.min_reasoning_words)

    source = resolve(recipe.model, run)
    context = context_length(AutoConfig.from_pretrained(source.weights, revision=source.revision or "main"))
    return draw_questions(recipe, recipe.task, run, tokenizer, spec, context, open_prober)


def _sampler(recipe: Recipe, run: Run, model: Any, tokenizer: Any) -> Any:
    """What generates the completions: the model in training itself, or vLLM with its adapter."""
    from engines.generation.hf import HfGenerator
    from engines.generation.open import check_vllm_is_installed

    if not recipe.use_vllm:
        return HfGenerator(model, tokenizer, recipe.rollout_batch_size)
    check_vllm_is_installed("use_vllm")
    from engines.generation.vllm_policy import VllmPolicy

    share = recipe.vllm_gpu_memory_utilization
    return VllmPolicy(model, tokenizer, recipe.model.dtype, run.dir / "policy", share)


def _write_record(
    recipe: Recipe, run: Run, device: "torch.device", examples: "Sequence[Example]", counts: dict[str, Any]
) -> None:
    from engines.training.record import RECORD, run_facts, write_record

    record = {
        "engine": "grpo",
        "recipe": recipe.model_dump(mode="json", by_alias=True),
        **run_facts(run, device, examples, recipe.prompt),
        **counts,
    }
    write_record(run.dir / RECORD, record)
    run.events.emit("artifact", name="model", path="model")
    run.events.emit("artifact", name="run", path=RECORD)
