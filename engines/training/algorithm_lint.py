"""What a GRPO recipe asks for and will not get: errors, and warnings about options that are dead. Before training.

Rules are functions of the recipe's fields alone, so that `tunedeck check` shows the errors. Some traps need no rule:
the seed is no sampling option here, so the completions of a group cannot all be the same; whole generation batches
are laid out, so that no sampler drops the end of the budget; and any step can be resumed from, on or between the
boundaries of generation batches.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engines.training.algorithm import Algorithm

TOKEN_SUMS = ("bnpo", "dr_grpo", "dapo", "cispo")
RATIO_LOSSES = ("cispo", "sapo", "vespo")
"""Losses whose difference from the others is in what they do with probability ratios."""


def errors(recipe: "Algorithm") -> list[str]:
    """What no run can make sense of."""
    return list(_errors(recipe))


def warnings(recipe: "Algorithm") -> list[str]:
    """What runs, but does not do what its options suggest."""
    return [*_dead_on_policy(recipe), *_unused(recipe), *_mismatches(recipe)]


def _errors(recipe: "Algorithm") -> Iterator[str]:
    rows = recipe.per_device_train_batch_size * recipe.micro_batches
    times = "steps_per_generation" if recipe.steps_per_generation else "gradient_accumulation_steps"
    in_each = " in each process" if recipe.resources.process_count > 1 else ""
    if recipe.use_vllm and recipe.resources.process_count > 1:
        yield (
            f"`use_vllm` needs `resources: {{gpus: 1}}`: vLLM takes the connections between the "
            f"{recipe.resources.process_count} processes of this job for its own"
        )
    if rows % recipe.num_generations:
        yield (
            f"one generation batch has {rows} completions{in_each} (`per_device_train_batch_size` times `{times}`), "
            f"which are not whole groups of {recipe.num_generations} (`num_generations`)"
        )
    elif recipe.train_samples is not None and recipe.train_samples < recipe.prompts_per_generation:
        yield (
            f"`train_samples: {recipe.train_samples}` is less than the {recipe.prompts_per_generation} questions of one "
            f"generation batch; lower `{times}` or `per_device_train_batch_size`"
        )
    if recipe.temperature == 0:
        yield "`temperature: 0` makes all completions of a group the same, and every group dead; use 1.0"
    if recipe.top_k == 1:
        yield "`top_k: 1` makes all completions of a group the same, and every group dead; use 0"
    if recipe.loss_type == "cispo" and recipe.epsilon_high is None:
        yield (
            "`loss_type: cispo` needs `epsilon_high` (5.0 is usual): without it the ratio is capped at `epsilon`, "
            f"and gradients shrink to {recipe.epsilon:g} times what they should be"
        )
    if recipe.epsilon >= 1:
        yield f"`epsilon: {recipe.epsilon:g}` clips nothing, as a ratio is never below 0; use a value below 1"


def _dead_on_policy(recipe: "Algorithm") -> Iterator[str]:
    """With every completion trained on once, by the weights that made it, all ratios are 1 and clipping them is void."""
    if not recipe.on_policy:
        return
    dead = [
        name
        for name, is_set in (
            ("epsilon", recipe.epsilon != 0.2),
            ("epsilon_high", recipe.epsilon_high is not None and recipe.loss_type != "cispo"),
            ("delta", recipe.delta is not None),
            ("importance_sampling_level: sequence", recipe.importance_sampling_level == "sequence"),
            ("off_policy_mask_threshold", recipe.off_policy_mask_threshold is not None),
        )
        if is_set
    ]
    why = (
        "completions are trained on once, with the weights that made them, so that every probability ratio is 1 "
        "(raise `num_iterations`, or `steps_per_generation` above `gradient_accumulation_steps`)"
    )
    if dead:
        yield f"no effect: {', '.join(f'`{name}`' for name in dead)}; {why}"
    if recipe.loss_type in RATIO_LOSSES:
        yield f"`loss_type: {recipe.loss_type}` differs from `dapo` and `grpo` only in ratios; {why}"


def _unused(recipe: "Algorithm") -> Iterator[str]:
    """Options of another loss than the one that is used."""
    for loss in ("sapo", "vespo"):
        names = [name for name in type(recipe).model_fields if name.startswith(f"{loss}_")]
        changed = [name for name in names if getattr(recipe, name) != type(recipe).model_fields[name].default]
        if changed and recipe.loss_type != loss:
            yield f"no effect: {', '.join(f'`{name}`' for name in changed)}; `loss_type` is `{recipe.loss_type}`"
    if recipe.delta is not None and recipe.loss_type in RATIO_LOSSES:
        yield f"no effect: `delta`; `loss_type: {recipe.loss_type}` has no two-sided clipping"
    if not recipe.use_bias_correction_kl and recipe.beta == 0:
        yield "no effect: `use_bias_correction_kl`; `beta` is 0"


def _mismatches(recipe: "Algorithm") -> Iterator[str]:
    """Options that do not go together."""
    filters = [name for name, on in (("top_p", recipe.top_p < 1), ("top_k", recipe.top_k > 0)) if on]
    if filters:
        yield (
            f"{' and '.join(f'`{name}`' for name in filters)}: completions come from a narrower distribution than the one "
            "whose log-probabilities the loss uses, so the gradient is biased"
        )
    if recipe.importance_sampling_level == "sequence" and recipe.loss_type in TOKEN_SUMS:
        yield (
            f"`importance_sampling_level: sequence` with `loss_type: {recipe.loss_type}` weighs completions by their "
            "length; GSPO uses `loss_type: grpo`"
        )
    if recipe.loss_type == "luspo" and recipe.importance_sampling_level == "token":
        yield "`loss_type: luspo` is meant for `importance_sampling_level: sequence`"
    if recipe.loss_type == "vespo" and recipe.importance_sampling_level == "sequence":
        yield "`loss_type: vespo` weighs whole sequences by itself; leave `importance_sampling_level` at `token`"
    if recipe.beta > 0 and recipe.use_bias_correction_kl and recipe.importance_sampling_level == "sequence":
        yield "`use_bias_correction_kl` is unbiased for ratios of tokens only, not for `importance_sampling_level: sequence`"
    if recipe.loss_type == "dr_grpo" and recipe.scale_rewards != "none":
        yield "`loss_type: dr_grpo` is meant for `scale_rewards: none`; dividing by the spread brings its bias back"
    if recipe.beta > 0 and recipe.scale_rewards == "group":
        yield (
            "`beta` with `scale_rewards: group`: advantages of nearly solved and nearly hopeless questions are blown up, "
            "so the KL term weighs less there; `none` keeps the balance the same everywhere"
        )
