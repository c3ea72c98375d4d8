"""What a step has to learn from: completions, and what actor, critic and reference thought of each token of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engines.distributed.world import World
from engines.ppo.advantage import gae, group_relative, token_rewards, whiten
from engines.ppo.batches import Batch, Row, by_unit, collate, compared_groups, micro_batches, response_mask
from engines.ppo.fields import MtlPpoRecipe
from engines.ppo.losses import kl_estimate
from engines.ppo.policy import ActorCritic


@dataclass
class Experience:
    """A step's completions; tensors are (rows, tokens), on the CPU."""

    rows: list[Row]
    units: list[int]
    mask: Tensor
    old_logps: Tensor
    entropies: Tensor
    values: Tensor
    reference: Tensor | None
    advantages: Tensor
    returns: Tensor
    degenerate: set[int]
    """Units whose advantages say nothing."""


class Observer:
    """Looks at completions with the models as they are before the step."""

    def __init__(
        self,
        models: ActorCritic,
        recipe: MtlPpoRecipe,
        *,
        pad: int,
        world: World,
    ) -> None:
        self.models = models
        self._algorithm = recipe.algorithm
        self._pad = pad
        self._temperature = recipe.rollout.temperature
        self._size = recipe.actor.ppo_micro_batch_size
        self._mask_truncated = recipe.rollout.mask_truncated
        self._world = world

    def collate(self, rows: Sequence[Row]) -> Batch:
        """Rows as the models read them."""
        return collate(rows, self._pad, self.models.model.device)

    @torch.no_grad()
    def observe(self, rows: list[Row], penalty: float, *, with_reference: bool) -> Experience:
        """The rows with their advantages. `penalty`: weight of the divergence in the reward, where it is there."""
        units = [row.unit for row in rows]
        mask = response_mask(rows, mask_truncated=self._mask_truncated)
        seen = torch.zeros(4, *mask.shape)
        # Nobody's gradient is wanted here, so that tasks may share a pass.
        turns = micro_batches(range(len(rows)), self._size)
        for turn in turns[self._world.rank :: self._world.size]:
            self._look(seen, turn, rows, units, with_reference)
        old, entropy, values, reference = self._world.sum(seen) * mask
        advantages, returns, degenerate = self._judge(rows, units, mask, old, values, reference, penalty)
        return Experience(
            rows,
            units,
            mask,
            old,
            entropy,
            values,
            reference if with_reference else None,
            advantages,
            returns,
            degenerate,
        )

    def _look(
        self, seen: Tensor, turn: list[int], rows: list[Row], units: list[int], with_reference: bool
    ) -> None:
        """Fill in what the models say of these rows: log-probabilities, entropies, values and the reference's."""
        batch = self.collate([rows[number] for number in turn])
        place = torch.tensor(turn)
        logps, entropy = self.models.logps(batch, self._temperature, with_entropy=True)
        assert entropy is not None
        seen[0, place, : batch.width] = logps.cpu()
        seen[1, place, : batch.width] = entropy.cpu()
        if self.models.critic:
            heads = torch.tensor([units[number] for number in turn], device=batch.input_ids.device)
            seen[2, place, : batch.width] = self.models.values(batch, heads).cpu()
        if with_reference:
            seen[3, place, : batch.width] = self.models.reference_logps(batch, self._temperature).cpu()

    def _judge(
        self,
        rows: list[Row],
        units: list[int],
        mask: Tensor,
        old: Tensor,
        values: Tensor,
        reference: Tensor,
        penalty: float,
    ) -> tuple[Tensor, Tensor, set[int]]:
        algorithm = self._algorithm
        rewards = torch.tensor([row.reward for row in rows])
        divergence = torch.zeros_like(mask)
        if algorithm.use_kl_in_reward:
            divergence = kl_estimate(old, reference, algorithm.kl_penalty) * mask
        if algorithm.adv_estimator == "gae":
            tokens = token_rewards(rewards, mask) - penalty * divergence
            advantages, returns = gae(tokens, values, mask, algorithm.gamma, algorithm.lam)
        else:
            groups = torch.tensor(compared_groups(rows))
            whole = rewards - penalty * divergence.sum(dim=1)
            advantages = (
                group_relative(whole, groups, leave_one_out=algorithm.adv_estimator == "rloo")[:, None] * mask
            )
            returns = advantages
        if algorithm.normalization == "none":
            return advantages, returns, _flat(advantages, mask, units)
        together = units if algorithm.normalization == "task" else [0] * len(rows)
        advantages, degenerate = whiten(advantages, mask, together)
        return (
            advantages,
            returns,
            degenerate if algorithm.normalization == "task" else _flat(advantages, mask, units),
        )


def _flat(advantages: Tensor, mask: Tensor, units: list[int]) -> set[int]:
    """Units without an advantage that is not 0."""
    return {
        unit
        for unit, own in by_unit(units, range(len(units))).items()
        if not bool((advantages[own] * mask[own]).any())
    }
