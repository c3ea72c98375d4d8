"""GRPO in which dead groups do not dilute the gradient, on TRL's trainer.

A group is dead when all its completions earn the same reward: its advantages are zero, and it teaches nothing. TRL's
losses still divide by its tokens or rows, so with half the groups dead the gradient is exactly half of what the live
groups say. Here the advantages of a generation batch are divided by the share of its live tokens (where the loss is a
mean over tokens) or live rows (where it is a mean over sequences); every loss of TRL is linear in them. The KL and
entropy terms stay what they are: means over everything that was generated.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from trl import GRPOTrainer

from engines.recipe.errors import RecipeError
from engines.training.resume import WholeCheckpoints

TOKEN_MEAN = frozenset({"dapo", "cispo", "vespo", "bnpo"})
"""Losses whose normaliser counts tokens; those of the other losses count rows."""

ROW_MEAN = frozenset({"grpo", "sapo", "luspo", "dr_grpo"})
"""Losses that divide by the rows of one forward pass."""

_SAME = 1e-6
"""Rewards of a group that differ by less, relative to their size, are the same but for rounding."""

REFERENCE = "ref"
"""TRL's name for the frozen copy of the incoming adapter, which the KL term compares with."""

_BUFFER = "generation_batch{}.pt"
"""Of each process its own rows."""


def dead_groups(rewards: torch.Tensor, num_generations: int) -> torch.Tensor:
    """Which groups hold one reward only: (groups,) from (rows,), NaN for completions without a reward."""
    grouped = rewards.view(-1, num_generations)
    low = grouped.nan_to_num(torch.inf).amin(dim=1)
    high = grouped.nan_to_num(-torch.inf).amax(dim=1)
    return high - low <= _SAME * high.abs().clamp(min=1.0)


def undiluted(advantages: torch.Tensor, dead: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Advantages of the local rows (rows,), those of dead rows zero, the others divided by the live share of `weight`.

    `dead` (rows,) and `weight` (rows,; tokens or ones) are those of all processes.
    """
    live_weight = weight[~dead].sum()
    scale = weight.sum() / live_weight if live_weight > 0 else torch.zeros_like(live_weight)
    return advantages * scale


def evened(inputs: dict[str, Any], rows: torch.Tensor, count: int) -> tuple[dict[str, Any], torch.Tensor]:
    """A batch of which `count` rows are kept, and which: all `rows` (rows,), and others with no token that counts.

    Processes must keep equally many, since TRL compares figures of rows across them. The loss over no row at all would
    have no gradient: then the first is kept as it is.
    """
    if count == 0:
        return inputs, torch.arange(len(rows), device=rows.device) == 0
    filling = ~rows & ((~rows).cumsum(0) <= count - int(rows.sum()))
    mask = torch.where(filling[:, None], 0, inputs["completion_mask"])
    return inputs | {"completion_mask": mask}, rows | filling


def compact(inputs: dict[str, Any], rows: torch.Tensor) -> dict[str, Any]:
    """Only these rows of a batch, without columns that are padding in all of them."""
    length = inputs["completion_mask"].shape[1]
    last = inputs["completion_mask"][rows].any(dim=0).nonzero()
    # Where no token counts: one column alone would be taken for figures of whole sequences, which count without a mask.
    stop = int(last.max()) + 1 if len(last) else min(length, 2)
    start = int(inputs["prompt_mask"][rows].any(dim=0).nonzero().min())
    smaller = {}
    for name, value in inputs.items():
        if not isinstance(value, torch.Tensor) or value.dim() == 0:
            smaller[name] = value
        elif name in ("prompt_ids", "prompt_mask"):
            smaller[name] = value[rows, start:]
        else:
            smaller[name] = (
                value[rows, :stop] if value.dim() == 2 and value.shape[1] == length else value[rows]
            )
    return smaller


class LiveGroupGRPOTrainer(WholeCheckpoints, GRPOTrainer):
    """TRL's GRPO trainer with undiluted gradients and checkpoints that may fall inside of a generation batch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rewards = torch.empty(0)
        self._trained_tokens = 0
        if self.ref_model is not None:
            # TRL loads the reference by the model's name, which for merged weights names what they were before.
            self.ref_model.load_state_dict(self.accelerator.unwrap_model(self.model).state_dict())

    @property
    def micro_step(self) -> int:
        """Forward-backward passes so far, over all attempts: it numbers the generation batches."""
        return int(self._step)

    def sample_with(self, policy: Any) -> None:
        """Let another engine hold the policy that is sampled from: it gets the weights whenever they have changed.

        What it says of its tokens is then corrected for, as TRL does with its own vLLM (importance sampling).
        """
        self.use_vllm = True
        self.vllm_generation = policy
        self._last_loaded_step = self.state.global_step

    def measure(self, name: str, value: float) -> None:
        """Adds a figure to the next log."""
        self._metrics["train"][name].append(value)

    def _calculate_rewards(self, inputs: Any, *args: Any) -> torch.Tensor:
        per_function: torch.Tensor = super()._calculate_rewards(inputs, *args)
        self._rewards = per_function
        return per_function

    def _dead_groups(self) -> torch.Tensor:
        if self.multi_objective_aggregation == "normalize_then_sum":  # each part is compared within the group
            parts = [dead_groups(column, self.num_generations) for column in self._rewards.unbind(dim=1)]
            return torch.stack(parts).all(dim=0)
        total = (self._rewards * self.reward_weights.to(self._rewards.device)).nansum(dim=1)
        total[self._rewards.isnan().all(dim=1)] = torch.nan
        return dead_groups(total, self.num_generations)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        check_contiguous([row["prompt"] for row in inputs], self.num_generations)
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        groups = self._dead_groups()
        dead = groups.repeat_interleave(self.num_generations)
        mask = batch["completion_mask"] * batch.get("tool_mask", 1)
        tokens = self.accelerator.gather(mask.sum(dim=1)).float()
        weight = tokens if self.loss_type in TOKEN_MEAN else torch.ones_like(tokens)
        rows = len(inputs)
        local = slice(self.accelerator.process_index * rows, (self.accelerator.process_index + 1) * rows)
        alive = torch.where(dead[local], 0.0, batch["advantages"])
        batch["advantages"] = undiluted(alive, dead, weight)
        metrics = self._metrics["train" if self.model.training else "eval"]
        metrics["frac_reward_zero_std"][-1] = groups.float().mean().item()
        metrics["live_share"].append((weight[~dead].sum() / weight.sum().clamp(min=1.0)).item())
        self._trained_tokens += int(tokens[~dead].sum()) * self.num_iterations
        metrics["num_trained_tokens"] = [self._trained_tokens]
        return batch

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """The loss, computed without the rows that cannot move it: dead ones, and those that are masked as cut off.

        `entropy` and `clip_ratio` are then those of what is trained on.
        """
        rows = inputs["advantages"].abs() * inputs["completion_mask"].sum(dim=1) > 0
        if self._needs_all_rows or not model.training:
            rows = torch.ones_like(rows)
        else:
            inputs, rows = evened(inputs, rows, int(self.accelerator.gather(rows.sum()).max()))
        loss: torch.Tensor = super()._compute_loss(model, compact(inputs, rows))
        return loss * rows.float().mean() if self.loss_type in ROW_MEAN else loss

    @property
    def _buffer_name(self) -> str:
        rank = self.accelerator.process_index
        return _BUFFER.format(f"_{rank}" if rank else "")

    @property
    def _needs_all_rows(self) -> bool:
        """Whether a row without an advantage has a part in the loss: by a term of its own, or by a normaliser."""
        terms = self.beta != 0 or self._entropy_bonus_enabled or self.aux_loss_enabled
        return terms or self.loss_type == "bnpo" or self.top_entropy_quantile < 1

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Within a generation batch, what was generated is part of the state: it is not generated again."""
        every = self.args.steps_per_generation * self.num_iterations
        if self._step % every and self._buffered_inputs is not None:
            directory = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
            directory.mkdir(parents=True, exist_ok=True)
            torch.save(self._buffered_inputs, directory / self._buffer_name)
        super()._save_checkpoint(model, trial)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        # Where a second adapter lies beside the trained one, the trainer would load that and leave ours as it is.
        shutil.rmtree(Path(resume_from_checkpoint) / REFERENCE, ignore_errors=True)
        super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        self._step = int(checkpoint.rpartition("-")[2]) * self.args.gradient_accumulation_steps
        buffer = Path(checkpoint) / self._buffer_name
        if buffer.is_file():
            self._buffered_inputs = torch.load(buffer, map_location=self.args.device, weights_only=True)


def check_contiguous(prompts: list[str], num_generations: int) -> None:
    """The completions of a prompt must stand together, or rewards would be compared across prompts."""
    if len(prompts) % num_generations == 0:
        groups = [
            prompts[start : start + num_generations] for start in range(0, len(prompts), num_generations)
        ]
        if all(prompt == group[0] for group in groups for prompt in group):
            return
    raise RecipeError(
        f"a process holds {len(prompts)} completions that are not whole groups of {num_generations}",
        hint="let `per_device_train_batch_size` times `steps_per_generation` be a multiple of `num_generations`",
    )


def without_reference(model: Any) -> Any:
    """The model as it is to be saved: without the frozen copy that the KL term compared with."""
    if REFERENCE in getattr(model, "peft_config", {}):
        model.delete_adapter(REFERENCE)
    return model
