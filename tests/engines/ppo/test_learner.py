"""One step of learning: on a policy small enough to work everything out by hand, and on a real one."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from engines.distributed.world import World
from engines.mtl_ppo import Recipe
from engines.ppo.advantage import whiten
from engines.ppo.batches import placebo_units, response_mask
from engines.ppo.experience import Experience, Observer
from engines.ppo.learner import Learner
from engines.ppo.losses import entropies, kl_estimate, token_logps
from engines.ppo.policy import ActorCritic

WORLD = World()


class SharedBias:
    """A policy that is one vector of logits, whatever the prompt: all that its tasks share is all that there is."""

    def __init__(self, words):
        self.bias = nn.Parameter(torch.zeros(words))
        self.policy, self.value, self.critic = [("bias", self.bias)], [], None
        self.model = SimpleNamespace(device=torch.device("cpu"))

    def logps(self, batch, temperature, *, with_entropy=False):
        logits = self.bias.expand(*batch.responses.shape, -1) / temperature
        return token_logps(logits, batch.responses), entropies(logits) if with_entropy else None


def recipe(**fields):
    merged = {
        "engine": "mtl_ppo",
        "model": {"base": "pocket"},
        "algorithm": {"adv_estimator": "rloo"},
        **fields,
    }
    merged["actor"] = {"grad_clip": 1e9, **fields.get("actor", {})}
    return Recipe.model_validate(merged)


def experience(models, rows, advantages):
    """What was seen of rows of one-token responses with these advantages, by the policy as it is."""
    mask = response_mask(rows, mask_truncated=False)
    observer = Observer(models, recipe(), pad=0, world=WORLD)
    with torch.no_grad():
        old, entropy = models.logps(observer.collate(rows), 1.0, with_entropy=True)
    spread = torch.tensor(advantages)[:, None] * mask
    units = [row.unit for row in rows]
    return Experience(rows, units, mask, old * mask, entropy, mask * 0, None, spread, spread, set())


def gradient_of(made, seen, how):
    """The gradient that the first step of AdamW was given: its running mean of gradients over 1 - beta."""
    learner = Learner(how, Observer(made, how, pad=0, world=WORLD), 2, 0, WORLD)
    figures, operation = learner.learn(seen, 1, measure=True)
    (state,) = learner.state()["actor"]["adamw"]["state"].values()
    return state["exp_avg"] / 0.1, figures, operation


def by_method(method, words, make_row, tokens_and_advantages):
    made = SharedBias(words)
    rows = [
        make_row([5], [token], unit, 2 * unit + at)
        for unit, own in enumerate(tokens_and_advantages)
        for at, (token, _) in enumerate(own)
    ]
    advantages = [float(advantage) for own in tokens_and_advantages for _, advantage in own]
    return gradient_of(made, experience(made, rows, advantages), recipe(mtl={"method": method}))


def test_tasks_made_to_conflict_are_updated_as_derived_by_hand(make_row):
    # At equal logits a task's gradient is minus the mean of advantage * (token - 1/3):
    # g1 = (-1/2, 1/2, 0) and g2 = (0, -1, 1) conflict: their product is -1/2.
    tasks = [[(0, 1), (1, -1)], [(1, 2), (2, -2)]]
    equal, _, _ = by_method("equal", 3, make_row, tasks)
    assert equal.tolist() == pytest.approx([-0.25, -0.25, 0.5], abs=1e-6)
    # g1 + g2 / 4 = (-1/2, 1/4, 1/4) and g2 + g1 = (-1/2, -1/2, 1)
    surgery, _, operation = by_method("pcgrad", 3, make_row, tasks)
    assert surgery.tolist() == pytest.approx([-0.5, -0.125, 0.625], abs=1e-6)
    (part,) = operation.parts.values()
    assert part.coefficients.flatten().tolist() == pytest.approx([1, 0.25, 1, 1], abs=1e-6)


def test_tasks_made_orthogonal_are_left_as_they_are_bit_for_bit(make_row):
    tasks = [[(0, 1), (1, -1)], [(2, 2), (3, -2)]]
    equal, _, _ = by_method("equal", 4, make_row, tasks)
    surgery, _, operation = by_method("pcgrad", 4, make_row, tasks)
    (part,) = operation.parts.values()
    assert part.gramian[0, 1] == 0 and torch.equal(equal, surgery) and equal.any()


def test_pooling_counts_tokens_and_equal_counts_tasks(make_row):
    tasks = [[(0, 1), (1, -1)], [(2, 1), (3, -1), (2, 1), (3, -1), (2, 1), (3, -1)]]
    pooled, _, operation = by_method("pooled", 4, make_row, tasks)
    (part,) = operation.parts.values()
    assert part.weights.tolist() == pytest.approx([0.25, 0.75])
    equal, _, _ = by_method("equal", 4, make_row, tasks)
    assert pooled.tolist() == pytest.approx([-0.125, 0.125, -0.375, 0.375], abs=1e-6)
    assert equal.tolist() == pytest.approx([-0.25, 0.25, -0.25, 0.25], abs=1e-6)


def real(tiny_model, rows, **fields):
    """A policy and critic of a random Llama with adapters that are no longer zero, and what they saw."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    models = ActorCritic(get_peft_model(model, lora).train(), critic="adapter", heads=1, reference=True)
    models.expect(0.3)
    how = recipe(**{"algorithm": {}, **fields})
    observer = Observer(models, how, pad=0, world=WORLD)
    return models, how, observer, observer.observe(rows, 0.0, with_reference=True)


def test_at_the_first_update_every_ratio_is_one(tiny_model, rows):
    models, how, observer, seen = real(tiny_model, rows)
    logps, _ = models.logps(observer.collate(rows[:6]), 1.0)
    width = logps.shape[1]
    assert torch.allclose(logps * seen.mask[:6, :width], seen.old_logps[:6, :width], atol=1e-5)
    figures, _ = Learner(how, observer, 2, 0, WORLD).learn(seen, 1, measure=False)
    assert figures["clip_fraction"] == 0 and abs(figures["ppo_kl"]) < 1e-6
    # With standardized advantages and ratios of one, the loss of each task is 0.
    assert abs(figures["policy_loss"]) < 1e-5
    assert torch.equal(seen.reference, seen.old_logps)


@pytest.mark.parametrize(
    "mode", ["token-mean", "seq-mean-token-sum", "seq-mean-token-mean", "seq-mean-token-sum-norm"]
)
def test_the_micro_batch_size_changes_no_gradient(tiny_model, rows, mode):
    found = []
    for size in (12, 1):
        actor = {
            "loss_agg_mode": mode,
            "ppo_micro_batch_size": size,
            "entropy_coeff": 0.01,
            "use_kl_loss": True,
        }
        _models, how, observer, seen = real(tiny_model, rows, actor=actor)
        learner = Learner(how, observer, 2, 0, WORLD)
        learner.learn(seen, 1, measure=False)
        states = [
            *learner.state()["actor"]["adamw"]["state"].values(),
            *learner.state()["critic"]["adamw"]["state"].values(),
        ]
        found.append(torch.cat([state["exp_avg"].flatten() for state in states]))
    assert found[0].abs().max() > 1e-3
    assert (found[1] - found[0]).abs().max() < 1e-6


def test_completions_without_any_signal_make_no_nan_and_move_nothing(tiny_model, make_row):
    rows = [
        make_row([5, 6], [7], 0, 0, reward=1.0),
        make_row([5, 6], [8], 0, 0, reward=1.0),
        make_row([5], [], 1, 1, reward=0.0),
        make_row([5], [9], 1, 1, reward=0.0),
    ]
    models, how, observer, seen = real(tiny_model, rows)
    assert seen.degenerate == {0, 1} and not seen.advantages.any()
    before = [one.detach().clone() for _, one in models.policy]
    figures, operation = Learner(how, observer, 2, 0, WORLD).learn(seen, 1, measure=True)
    assert all(torch.equal(one, old) for (_, one), old in zip(models.policy, before, strict=True))
    assert all(one.isfinite().all() for _, one in [*models.policy, *models.value])
    assert figures["grad_norm"] == 0 and operation.halves is not None


def test_a_failed_grader_teaches_nothing(tiny_model, rows, make_row):
    broken = [make_row([5, 5], [6, 7], 1, 9, reward=0.0, outcome="error")]
    _, _, _, seen = real(tiny_model, [*rows, *broken])
    assert not seen.mask[-1].any() and not seen.advantages[-1].any()


@pytest.mark.parametrize("estimator", ["rloo", "grpo"])
def test_a_failed_grader_is_no_measure_for_the_other_answers_to_its_question(tiny_model, make_row, estimator):
    fair = [make_row([5, 6], [7], 0, 0, reward=1.0), make_row([5, 6], [8], 0, 0, reward=1.0)]
    broken = make_row([5, 6], [9], 0, 0, reward=0.0, outcome="error")
    algorithm = {"adv_estimator": estimator, "adv_norm": "none"}
    *_, seen = real(tiny_model, [*fair, broken], algorithm=algorithm)
    assert not seen.advantages.any() and seen.degenerate == {0}


def test_a_placebo_partition_preserves_the_total_of_the_gradients(tiny_model, rows):
    found = {}
    for method in ("equal", "pcgrad_placebo"):
        _models, how, observer, seen = real(tiny_model, rows, mtl={"method": method})
        _, operation = Learner(how, observer, 2, 0, WORLD).learn(seen, 1, measure=True)
        (part,) = operation.parts.values()
        dealt = (
            placebo_units(rows, range(len(rows)), "0/1/0/0")
            if method != "equal"
            else dict(enumerate(seen.units))
        )
        tokens = [float(sum(seen.mask[row].sum() for row in dealt if dealt[row] == task)) for task in (0, 1)]
        share = torch.tensor(tokens, dtype=torch.float64)
        # Each row is a mean over its tokens: weighted by their number they add up to the gradient of the whole batch.
        found[method] = (operation.tasks, part.gramian, share @ part.gramian @ share)
    assert found["equal"][0] == found["pcgrad_placebo"][0] == [0, 1]
    assert float(found["pcgrad_placebo"][2]) == pytest.approx(float(found["equal"][2]), rel=1e-4)
    assert not torch.allclose(found["equal"][1], found["pcgrad_placebo"][1], rtol=1e-2)


@pytest.mark.parametrize(
    "fields",
    [
        {"critic": {"mode": "shared"}},
        {"mtl": {"scope": "actor+critic", "method": "gradvac", "granularity": "module"}},
        {"algorithm": {"use_kl_in_reward": True, "kl_ctrl": {"kl_coef": 0.1}}},
        {"actor": {"ppo_epochs": 2, "ppo_mini_batch_size": 2}},
        {"mtl": {"enabled": False}},
    ],
)
def test_every_way_to_learn_moves_actor_and_critic_and_can_be_resumed_bit_for_bit(tiny_model, rows, fields):
    def bench():
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_pretrained(tiny_model)
        lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
        how = recipe(**{"algorithm": {}, **fields})
        models = ActorCritic(
            get_peft_model(model, lora).train(), critic=how.critic_mode, heads=1, reference=True
        )
        observer = Observer(models, how, pad=0, world=WORLD)
        return models, observer, Learner(how, observer, 2, 0, WORLD)

    def steps(made, numbers):
        models, observer, learner = made
        for step in numbers:
            learner.learn(observer.observe(rows, 0.1, with_reference=True), step, measure=False)
        return {name: one.clone() for name, one in models.tensors().items()}, learner.state()

    start = {name: one.clone() for name, one in bench()[0].tensors().items()}
    whole, _ = steps(bench(), [1, 2])
    moved = {name.partition(".")[0] for name in whole if not torch.equal(whole[name], start[name])}
    assert moved == {"policy", "value"}
    tensors, state = steps(bench(), [1])
    resumed = bench()
    resumed[0].restore(tensors)
    resumed[2].restore(state)
    again, _ = steps(resumed, [2])
    assert all(torch.equal(again[name], whole[name]) for name in whole)


def test_standardizing_by_task_is_what_the_default_does(tiny_model, rows):
    _, _, _, seen = real(tiny_model, rows)
    again, _ = whiten(seen.advantages, seen.mask, seen.units)
    assert torch.allclose(again, seen.advantages, atol=1e-4)


def moved_away(models):
    """The policy, and no longer where its reference is."""
    torch.manual_seed(1)
    with torch.no_grad():
        for _, one in models.policy:
            one.add_(0.05 * torch.randn_like(one))


@pytest.mark.parametrize("estimator", ["gae", "rloo"])
def test_divergence_in_the_reward_is_taken_off_from_its_token_on(tiny_model, rows, estimator):
    algorithm = {"adv_estimator": estimator, "adv_norm": "none", "use_kl_in_reward": True}
    models, _, observer, _ = real(tiny_model, rows, algorithm=algorithm)
    moved_away(models)
    free, paid = (observer.observe(rows, penalty, with_reference=True) for penalty in (0.0, 0.5))
    away = (free.old_logps - free.reference) * free.mask
    assert away.abs().max() > 1e-2
    taken = -0.5 * away.flip(1).cumsum(1).flip(1) * free.mask
    if estimator == "rloo":  # of two answers, each against the other, all tokens of it together
        whole = away.sum(1).view(-1, 2)
        taken = -0.5 * (whole - whole.flip(1)).view(-1, 1) * free.mask
    assert torch.allclose(paid.returns - free.returns, taken, atol=1e-5)


def test_an_entropy_bonus_raises_entropy_and_a_divergence_loss_pulls_back(tiny_model, make_row):
    rows = [make_row([5, 6, group], [7 + n, 8], 0, group, reward=1.0) for group in range(3) for n in range(2)]
    optim = {"optim": {"lr": 1e-3}}
    for kind in ({"entropy_coeff": 1.0}, {"use_kl_loss": True, "kl_loss_coef": 1.0}):
        models, how, observer, _ = real(tiny_model, rows, actor={**optim, **kind})
        moved_away(models)
        before = observer.observe(rows, 0.0, with_reference=True)
        Learner(how, observer, 1, 0, WORLD).learn(before, 1, measure=False)
        after = observer.observe(rows, 0.0, with_reference=True)
        if "use_kl_loss" in kind:
            old, new = (
                kl_estimate(s.old_logps, s.reference, "k3").mul(s.mask).sum() for s in (before, after)
            )
            assert new < old
        else:
            assert (after.entropies * after.mask).sum() > (before.entropies * before.mask).sum()


def test_a_shared_trunk_learns_from_values_by_their_weight(tiny_model, make_row):
    from transformers import AutoModelForCausalLM

    rows = [make_row([5, 6], [7 + n], 0, 0, reward=1.0) for n in range(2)]
    norms = []
    for weight in (0.1, 0.2):
        torch.manual_seed(0)
        models = ActorCritic(
            AutoModelForCausalLM.from_pretrained(tiny_model).train(),
            critic="shared",
            heads=1,
            reference=False,
        )
        torch.nn.init.normal_(models.head.weight)
        how = recipe(algorithm={}, lora=None, critic={"mode": "shared", "vf_coef": weight})
        observer = Observer(models, how, pad=0, world=WORLD)
        seen = observer.observe(rows, 0.0, with_reference=False)
        seen.advantages.zero_()  # nothing but the values is left to learn from
        figures, _ = Learner(how, observer, 1, 0, WORLD).learn(seen, 1, measure=False)
        norms.append(figures["grad_norm"])
    assert norms[0] > 1e-4 and norms[1] == pytest.approx(2 * norms[0], rel=1e-4)


def test_in_its_warm_up_the_critic_alone_learns_and_no_longer(tiny_model, rows):
    models, how, observer, seen = real(tiny_model, rows, critic={"critic_warmup": 2})
    learner = Learner(how, observer, 2, 0, WORLD)
    for step, moves in ((1, False), (2, False), (3, True)):
        policy, value = ([one.detach().clone() for _, one in part] for part in (models.policy, models.value))
        learner.learn(seen, step, measure=False)
        changed = [
            any(not torch.equal(one, old) for (_, one), old in zip(part, before, strict=True))
            for part, before in ((models.policy, policy), (models.value, value))
        ]
        assert changed == [moves, True]
