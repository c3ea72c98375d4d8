"""From a recipe to a trainer with everything in it, in the order in which things can be wrong."""

from collections.abc import Callable
from typing import Any

from transformers import set_seed

from engines.distributed.world import World
from engines.generation.context import context_length
from engines.generation.hf import HfGenerator
from engines.generation.open import check_vllm_is_installed
from engines.modeling.loading import choose_device, lineage, load_model, load_tokenizer
from engines.modeling.tokens import end_token_ids
from engines.ppo.experience import Observer
from engines.ppo.fields import MtlPpoRecipe
from engines.ppo.learner import Learner
from engines.ppo.mixture import Mixture
from engines.ppo.policy import ActorCritic
from engines.ppo.questions import Questions, ask
from engines.ppo.rollout import Rollout
from engines.ppo.trainer import Trainer
from engines.recipe.errors import RecipeError
from engines.run import Run
from engines.sandbox import Sandbox
from engines.suite.catalog import suite_task
from engines.suite.item import Item, SuiteGrade
from engines.suite.prompting import suite_prompt
from engines.suite.rows import verdict_of
from engines.training import preflight


def set_up(recipe: MtlPpoRecipe, run: Run, world: World, sandbox: Sandbox) -> Trainer:
    """Questions, models, generator and learner. Raises RecipeError for what could not mean what the recipe says."""
    if recipe.rollout.use_vllm and world.size > 1:
        raise RecipeError(
            f"rollout.use_vllm: vLLM takes the connections between the {world.size} processes of this job for its own",
            hint="give the job one GPU (`resources: {gpus: 1}`), or set `rollout.use_vllm: false`",
        )
    device = choose_device(recipe.device)
    tokenizer = load_tokenizer(recipe.model, run)
    set_seed(run.seed)  # fresh adapters start from random numbers, the same in every process
    model = load_model(
        recipe.model,
        run,
        tokenizer=tokenizer,
        device=device,
        trainable=True,
        lora=recipe.lora,
        chain=recipe.chain,
    )
    made_from = lineage(recipe.model, run, lora=recipe.lora, chain=recipe.chain)
    preflight.check_trainable(model)
    preflight.check_precision(model.parameters(), recipe.actor_lr)
    preflight.check_pad(tokenizer.pad_token_id, end_token_ids(tokenizer, model))
    if recipe.trainer.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    generator = _generator(recipe, run, model, tokenizer, world)
    spec = suite_prompt(recipe.data.system)
    rollout = Rollout(generator, tokenizer, spec, recipe.reward, _grader(sandbox), run.seed, world)
    questions = _questions(recipe, run, rollout, model)
    algorithm = recipe.algorithm
    with_kl = algorithm.use_kl_in_reward or recipe.actor.use_kl_loss or algorithm.track_kl
    models = ActorCritic(
        model,
        critic=recipe.critic_mode if algorithm.adv_estimator == "gae" else None,
        heads=len(questions.units) if recipe.critic.heads == "per_task" else 1,
        reference=with_kl,
    )
    observer = Observer(models, recipe, pad=tokenizer.pad_token_id, world=world)
    mtl = recipe.mtl
    return Trainer(
        recipe,
        run,
        models,
        questions,
        Mixture(
            questions.train,
            recipe.data.train_batch_size,
            run.seed,
            sampling=mtl.sampling,
            temperature=mtl.temperature,
            all_units=mtl.ensure_all_tasks_per_step,
            epoch_by=mtl.epoch_by,
        ),
        rollout,
        observer,
        Learner(recipe, observer, len(questions.units), run.seed, world),
        world,
        generator,
        tokenizer,
        made_from,
    )


def _generator(recipe: MtlPpoRecipe, run: Run, model: Any, tokenizer: Any, world: World) -> Any:
    """What completes the prompts: the model in training itself, or vLLM with its adapter."""
    block = recipe.rollout
    if not block.use_vllm:
        return HfGenerator(model, tokenizer, block.batch_size)
    check_vllm_is_installed("rollout.use_vllm")
    from engines.generation.vllm_policy import VllmPolicy

    return VllmPolicy(
        model, tokenizer, recipe.model.dtype, run.dir / f"policy-{world.rank}", block.gpu_memory_utilization
    )


def _questions(recipe: MtlPpoRecipe, run: Run, rollout: Rollout, model: Any) -> Questions:
    """Those whose prompts are short enough, for the recipe and for the model."""
    block = recipe.rollout
    context = context_length(model.config)
    room = block.max_prompt_length
    if context is not None:
        room = min(room, context - block.max_response_length)
    questions = ask(recipe.data, recipe.mtl.task_unit, lambda item: rollout.length(item) <= room)
    if questions.too_long:
        text = f"left out {questions.too_long} questions whose prompts are longer than {room} tokens"
        run.events.message(text, "warning")
    if questions.shared:
        run.events.message(f"{questions.shared} validation questions are also trained on", "warning")
    return questions


def _grader(sandbox: Sandbox) -> Callable[[Item, str], SuiteGrade]:
    """By the item's task. A grader that breaks says nothing of the answer."""
    return lambda item, answer: verdict_of(suite_task(item.task), item, answer, sandbox)
