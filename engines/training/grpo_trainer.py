"""TRL's GRPO trainer as a recipe asks for it: with our groups, rewards, rollouts and watchers."""

from math import ceil
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback
from trl import GRPOConfig

from engines.generation.context import check_context
from engines.prompts.rendering import render_prompt, token_ids
from engines.prompts.spec import PromptSpec
from engines.rewards.named import reward_parts
from engines.run import Run
from engines.tasks.loading import load_examples
from engines.training.algorithm import Algorithm
from engines.training.arguments import shared_arguments
from engines.training.callbacks import GreedyEvalCallback, StopOnRequest
from engines.training.dev_accuracy import dev_accuracies
from engines.training.grpo_fields import GrpoRecipe
from engines.training.grpo_health import GRPOHealthCallback
from engines.training.live_groups import LiveGroupGRPOTrainer
from engines.training.rollout_log import RolloutLog
from engines.training.training_fields import TrainingRecipe


def open_trainer(
    recipe: GrpoRecipe,
    run: Run,
    model: Any,
    tokenizer: Any,
    spec: PromptSpec,
    arguments: Any,
    dataset: Any,
    callbacks: list[TrainerCallback],
) -> Any:
    """TRL's trainer with our groups, rewards, rollouts (the last of the callbacks) and watchers."""
    watchers: list[TrainerCallback] = [StopOnRequest(run), GRPOHealthCallback(run, recipe.health)]
    if recipe.eval_steps:
        dev = load_examples(recipe.task, "dev")[: recipe.eval_samples]
        longest = recipe.max_completion_length
        asked = [token_ids(tokenizer, render_prompt(tokenizer, spec, example.question)) for example in dev]
        check_context(asked, model.config, longest, "max_completion_length")
        watchers.append(
            GreedyEvalCallback(
                run, lambda model: dev_accuracies(model, tokenizer, spec, dev, longest), recipe.eval_steps
            )
        )
    rollout_log = RolloutLog(run, recipe.log_completions)
    trainer = LiveGroupGRPOTrainer(
        model=model,
        reward_funcs=reward_parts(recipe.reward, spec, tokenizer.eos_token, recipe.max_completion_length),
        args=arguments,
        train_dataset=dataset,
        processing_class=tokenizer,
        callbacks=[*callbacks, *watchers, rollout_log],
        rollout_func=callbacks[-1],
    )
    trainer.remove_callback(PrinterCallback)  # the events say it already
    rollout_log.watch(trainer)
    return trainer


def trainer_arguments(recipe: GrpoRecipe, run: Run, device: torch.device, prompts: int) -> Any:
    passes = prompts // recipe.prompts_per_generation * recipe.micro_batches * recipe.num_iterations
    steps = recipe.max_steps if recipe.max_steps > 0 else ceil(passes / recipe.gradient_accumulation_steps)
    own = Algorithm.model_fields.keys() - TrainingRecipe.model_fields.keys()
    # Epochs are laid out as data; and TRL would start a vLLM of its own, where ours is put in its place.
    algorithm = (own & GRPOConfig.__dataclass_fields__.keys()) - {"num_train_epochs", "use_vllm"}
    return GRPOConfig(
        **{name: getattr(recipe, name) for name in algorithm},
        **shared_arguments(recipe, run, device),
        max_steps=steps,
        shuffle_dataset=False,  # the questions stand in the order that they are to be seen in
        learning_rate=recipe.peak_learning_rate,
        adam_beta2=recipe.adam_beta2,
        disable_dropout=recipe.beta > 0,  # the reference must give the same input the same probability
        save_strategy="steps",
        save_steps=recipe.save_steps or ceil(steps / 10),
    )
