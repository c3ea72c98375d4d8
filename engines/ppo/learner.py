"""What actor and critic learn from a step: mini-batch by mini-batch, one gradient a task, one update."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engines.distributed.world import World
from engines.ppo.batches import by_unit, micro_batches, mini_batches, placebo_units
from engines.ppo.experience import Experience, Observer
from engines.ppo.fields import MtlPpoRecipe
from engines.ppo.losses import Total, aggregate, kl_estimate, policy_loss, total_of, value_loss
from engines.ppo.optimizer import Optimizer
from engines.surgery.gramian import groups_of
from engines.surgery.methods import Method, Situation
from engines.surgery.rows import Rows, collect, gramian_of_halves, operate, pooled
from engines.surgery.statistics import Part

_SUMS = (
    "tokens",
    "clipped",
    "dual_clipped",
    "ppo_kl",
    "policy_loss",
    "value_tokens",
    "value_clipped",
    "value_loss",
)


@dataclass(frozen=True)
class Operation:
    """What was found and done in one update, for the statistics."""

    tasks: list[int]
    parts: dict[str, Part]
    halves: Tensor | None


class Learner:
    """Both optimizers and what they update."""

    def __init__(self, recipe: MtlPpoRecipe, observer: Observer, units: int, seed: int, world: World) -> None:
        self._recipe = recipe
        self._observer = observer
        self._models = observer.models
        self._seed = seed
        self._world = world
        self._method: Method = recipe.mtl.effective  # type: ignore[assignment]
        actor, critic = recipe.actor, recipe.critic
        self._actor = Optimizer(self._models.policy, actor.optim, recipe.actor_lr, actor.grad_clip)
        self._critic: Optimizer | None = None
        if self._models.value:
            self._critic = Optimizer(self._models.value, critic.optim, recipe.critic_lr, critic.grad_clip)
        self._targets: dict[str, Tensor] = {}
        """Gradient Vaccine's running cosines, by group of columns."""
        self._units = units
        self._sums: dict[str, float] = {}

    def learn(
        self, experience: Experience, step: int, *, measure: bool
    ) -> tuple[dict[str, float], Operation | None]:
        """One step's updates: figures of them, and, where it is to be measured, what the first one found."""
        self._sums = dict.fromkeys(_SUMS, 0.0)
        first: Operation | None = None
        norms = []
        for epoch in range(self._recipe.actor.ppo_epochs):
            where = f"{self._seed}/{step}/{epoch}"
            for number, chosen in enumerate(
                mini_batches(experience.rows, self._recipe.actor.ppo_mini_batch_size, where)
            ):
                trunk = self._teach_critic(experience, chosen, f"{where}/{number}")
                if step <= self._recipe.critic.critic_warmup and self._critic:
                    continue
                now = measure and first is None
                norm, operation = self._teach_actor(experience, chosen, f"{where}/{number}", trunk, now)
                first = first or (operation if now else None)
                norms.append(norm)
        return self._figures(norms), first

    def state(self) -> dict[str, Any]:
        """Everything but the weights."""
        critic = self._critic.state() if self._critic else None
        return {"actor": self._actor.state(), "critic": critic, "targets": self._targets}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `state` gave."""
        self._actor.restore(state["actor"])
        if self._critic:
            self._critic.restore(state["critic"])
        self._targets = dict(state["targets"])

    def _teach_actor(
        self, seen: Experience, chosen: list[int], where: str, trunk: Tensor | None, measure: bool
    ) -> tuple[float, Operation | None]:
        block = self._recipe.actor
        placebo = self._method == "pcgrad_placebo"
        unit_of = placebo_units(seen.rows, chosen, where) if placebo else dict(enumerate(seen.units))
        tasks = by_unit([unit_of.get(row, 0) for row in range(len(seen.rows))], chosen)
        length = self._recipe.rollout.max_response_length
        totals = {task: total_of(seen.mask[own], length) for task, own in tasks.items()}
        if self._method == "pooled" and not measure:
            whole = total_of(seen.mask[chosen], length)
            turns = [
                turn for own in tasks.values() for turn in micro_batches(own, block.ppo_micro_batch_size)
            ]
            update = pooled(
                self._actor.parameters, turns, lambda turn: self._actor_loss(seen, turn, whole), self._world
            )
            operation = None
        else:
            rows = self._rows(tasks, totals, measure, seen)
            update, parts = self._operate(self._actor, rows, self._situation(where, tasks, totals))
            halves = gramian_of_halves(rows, self._world) if measure else None
            operation = Operation(list(tasks), parts, halves)
        update = update if trunk is None else update + trunk
        return self._actor.step(update), operation

    def _rows(
        self, tasks: Mapping[int, list[int]], totals: Mapping[int, Total], measure: bool, seen: Experience
    ) -> Rows:
        task_of = {row: task for task, own in tasks.items() for row in own}
        size = self._recipe.actor.ppo_micro_batch_size
        turns = [micro_batches(own, size, parts=2 if measure else 1) for own in tasks.values()]

        def loss(turn: list[int]) -> Tensor:
            return self._actor_loss(seen, turn, totals[task_of[turn[0]]])

        return collect(self._actor.parameters, turns, loss, self._world, halved=measure)

    def _actor_loss(self, seen: Experience, turn: list[int], total: Total) -> Tensor:
        block, models = self._recipe.actor, self._models
        batch = self._observer.collate([seen.rows[row] for row in turn])
        logps, entropy = models.logps(
            batch, self._recipe.rollout.temperature, with_entropy=block.entropy_coeff > 0
        )
        mask, old, advantages = _cut(logps, turn, seen.mask, seen.old_logps, seen.advantages)
        losses, clipped, dual = policy_loss(
            logps, old, advantages, block.clip_ratio_low, block.clip_ratio_high, block.clip_ratio_c
        )
        self._note("tokens", mask, 1)
        self._note("clipped", mask, clipped)
        self._note("dual_clipped", mask, dual)
        self._note("ppo_kl", mask, old - logps.detach())
        self._note("policy_loss", mask, losses.detach())
        if block.use_kl_loss:
            assert seen.reference is not None
            (reference,) = _cut(logps, turn, seen.reference)
            losses = losses + block.kl_loss_coef * kl_estimate(logps, reference, block.kl_loss_type)
        if entropy is not None:
            losses = losses - block.entropy_coeff * entropy
        return aggregate(losses, mask, block.loss_agg_mode, total)

    def _teach_critic(self, seen: Experience, chosen: list[int], where: str) -> Tensor | None:
        """One update of the critic. On a shared trunk, the trunk's part of the gradient is given back (columns,)."""
        if self._critic is None:
            return None
        if self._recipe.mtl.scope == "actor+critic" and self._recipe.critic_mode != "shared":
            self._critic.step(self._operated_critic(seen, chosen, where))
            return None
        shared = self._recipe.critic_mode == "shared"
        parameters = self._critic.parameters
        whole = total_of(seen.mask[chosen], self._recipe.rollout.max_response_length)
        update = pooled(
            [*parameters, *self._actor.parameters] if shared else parameters,
            micro_batches(chosen, self._recipe.actor.ppo_micro_batch_size),
            lambda turn: self._critic_loss(seen, turn, whole),
            self._world,
        )
        own_part = sum(one.numel() for one in parameters)
        self._critic.step(update[:own_part])
        return self._recipe.critic.vf_coef * update[own_part:] if shared else None

    def _operated_critic(self, seen: Experience, chosen: list[int], where: str) -> Tensor:
        assert self._critic is not None
        tasks = by_unit(seen.units, chosen)
        turns = [micro_batches(own, self._recipe.actor.ppo_micro_batch_size) for own in tasks.values()]
        length = self._recipe.rollout.max_response_length
        totals = {task: total_of(seen.mask[own], length) for task, own in tasks.items()}

        def loss(turn: list[int]) -> Tensor:
            return self._critic_loss(seen, turn, totals[seen.units[turn[0]]])

        rows = collect(self._critic.parameters, turns, loss, self._world, halved=False)
        return self._operate(self._critic, rows, self._situation(f"{where}/critic", tasks, totals))[0]

    def _operate(
        self, optimizer: Optimizer, rows: Rows, situations: Callable[[str], Situation]
    ) -> tuple[Tensor, dict[str, Part]]:
        names = [name for name, _ in optimizer.named]
        sizes = [one.numel() for one in optimizer.parameters]
        groups = groups_of(names, sizes, self._recipe.mtl.granularity)
        return operate(rows, groups, self._method, situations, self._world)

    def _critic_loss(self, seen: Experience, turn: list[int], total: Total) -> Tensor:
        batch = self._observer.collate([seen.rows[row] for row in turn])
        units = torch.tensor([seen.units[row] for row in turn], device=batch.input_ids.device)
        values = self._models.values(batch, units)
        mask, old, returns = _cut(values, turn, seen.mask, seen.values, seen.returns)
        losses, clipped = value_loss(values, old, returns, self._recipe.critic.cliprange_value)
        self._note("value_tokens", mask, 1)
        self._note("value_clipped", mask, clipped)
        self._note("value_loss", mask, losses.detach())
        return aggregate(losses, mask, "token-mean", total)

    def _situation(
        self, where: str, tasks: Mapping[int, list[int]], totals: Mapping[int, Total]
    ) -> Callable[[str], Situation]:
        by_tokens = self._recipe.actor.loss_agg_mode == "token-mean"
        sizes = torch.tensor([t.tokens if by_tokens else t.sequences for t in totals.values()])
        shares = sizes.double() / sizes.sum().clamp(min=1)
        whose = "critic" if where.endswith("critic") else "actor"

        def situation(group: str) -> Situation:
            fresh = torch.zeros(self._units, self._units, dtype=torch.float64)
            targets = self._targets.setdefault(f"{whose} {group}", fresh)
            generator = torch.Generator().manual_seed(_number(f"{where} {group}"))
            return Situation(generator, shares, tuple(tasks), targets, self._recipe.mtl.gradvac_beta)

        return situation

    def _note(self, name: str, mask: Tensor, what: Tensor | float) -> None:
        self._sums[name] += float((mask * what).sum())

    def _figures(self, norms: list[float]) -> dict[str, float]:
        """Means over the tokens of a step, of all processes."""
        everywhere = self._world.sum(torch.tensor(list(self._sums.values()), dtype=torch.float64))
        sums = dict(zip(_SUMS, everywhere.tolist(), strict=True))
        tokens, value_tokens = max(sums["tokens"], 1), max(sums["value_tokens"], 1)
        found = {
            "clip_fraction": sums["clipped"] / tokens,
            "clip_fraction/dual": sums["dual_clipped"] / tokens,
            "ppo_kl": sums["ppo_kl"] / tokens,
            "policy_loss": sums["policy_loss"] / tokens,
        }
        if self._critic:
            found |= {
                "value_loss": sums["value_loss"] / value_tokens,
                "clip_fraction/value": sums["value_clipped"] / value_tokens,
            }
        if norms:
            found |= {"grad_norm": sum(norms) / len(norms), "learning_rate": self._actor.rate}
        return found


def _cut(like: Tensor, turn: list[int], *tensors: Tensor) -> list[Tensor]:
    """These rows of tensors of the step, as wide as `like` and where it is."""
    return [one[turn, : like.shape[1]].to(like.device) for one in tensors]


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
