"""Golden values of the losses, worked out by hand."""

import math

import pytest
import torch

from engines.ppo.losses import (
    KlController,
    Total,
    aggregate,
    entropies,
    kl_estimate,
    policy_loss,
    token_logps,
    total_of,
    value_loss,
)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "clipped", "dual"),
    [
        (1.0, 2.0, -2.0, False, False),
        (1.1, 2.0, -2.2, False, False),
        (1.5, 2.0, -2.4, True, False),  # a good token, already much likelier: 1.2 * 2
        (0.5, 2.0, -1.0, False, False),  # a good token, less likely: nothing holds it back
        (0.5, -2.0, 1.6, True, False),  # a bad token, already much less likely: 0.8 * 2
        (1.5, -2.0, 3.0, False, False),  # a bad token, likelier: nothing holds it back
        (5.0, -2.0, 6.0, False, True),  # ... but for the second clip: 3 * 2
    ],
)
def test_the_clipped_loss_of_a_token(ratio, advantage, loss, clipped, dual):
    logp = torch.tensor([[math.log(ratio)]])
    found = policy_loss(logp, torch.zeros(1, 1), torch.tensor([[advantage]]), 0.2, 0.2, 3.0)
    assert found[0].item() == pytest.approx(loss)
    assert (found[1].item(), found[2].item()) == (clipped, dual)


def test_the_bounds_below_and_above_are_their_own():
    logp, old = torch.log(torch.tensor([[1.4, 0.5]])), torch.zeros(1, 2)
    loss, _, _ = policy_loss(logp, old, torch.tensor([[1.0, -1.0]]), 0.1, 0.3, 3.0)
    assert loss[0].tolist() == pytest.approx([-1.3, 0.9])


def test_a_ratio_that_no_number_holds_is_cut_and_its_gradient_is_finite():
    logp = torch.tensor([[500.0]], requires_grad=True)
    loss, _, _ = policy_loss(logp, torch.zeros(1, 1), torch.tensor([[-1.0]]), 0.2, 0.2, 3.0)
    loss.sum().backward()
    assert loss.item() == 3.0 and logp.grad.isfinite().all()


def test_at_ratio_one_the_gradient_is_that_of_the_policy_gradient():
    logp = torch.tensor([[-1.0, -2.0]], requires_grad=True)
    advantages = torch.tensor([[0.5, -3.0]])
    loss, clipped, dual = policy_loss(logp, logp.detach(), advantages, 0.2, 0.2, 3.0)
    loss.sum().backward()
    assert torch.equal(logp.grad, -advantages) and not clipped.any() and not dual.any()


@pytest.mark.parametrize(
    ("value", "loss", "clipped"),
    [
        (0.2, 0.5 * 0.8**2, False),
        (0.9, 0.5 * 0.5**2, True),  # moved by 0.9, counted as having moved by 0.5
        (3.0, 0.5 * 2.0**2, False),  # past the return: the free one is worse
        (-1.0, 0.5 * 2.0**2, False),
    ],
)
def test_the_clipped_loss_of_a_value(value, loss, clipped):
    found, was = value_loss(torch.tensor([[value]]), torch.zeros(1, 1), torch.ones(1, 1), 0.5)
    assert found.item() == pytest.approx(loss) and was.item() == clipped


def test_divergence_estimates_and_their_gradients():
    reference = torch.tensor([[-1.0, -1.0]])
    for kind, values, slopes in [
        ("k1", [0.5, -0.25], [1.0, 1.0]),
        ("k2", [0.125, 0.03125], [0.5, -0.25]),
        (
            "k3",
            [math.exp(-0.5) + 0.5 - 1, math.exp(0.25) - 0.25 - 1],
            [1 - math.exp(-0.5), 1 - math.exp(0.25)],
        ),
        ("k3+", [math.exp(-0.5) + 0.5 - 1, math.exp(0.25) - 0.25 - 1], [0.5, -0.25]),
    ]:
        logp = torch.tensor([[-0.5, -1.25]], requires_grad=True)
        found = kl_estimate(logp, reference, kind)
        found.sum().backward()
        assert found[0].tolist() == pytest.approx(values, abs=1e-6), kind
        assert logp.grad[0].tolist() == pytest.approx(slopes, abs=1e-6), kind


@pytest.mark.parametrize("kind", ["k1", "k3"])
def test_estimates_agree_with_the_divergence_of_two_distributions(kind):
    logits = torch.tensor([[0.3, -1.0, 0.8], [0.0, 0.5, -0.2]])
    policy, reference = logits.log_softmax(dim=-1)
    mean = (policy.exp() * kl_estimate(policy, reference, kind)).sum()
    assert mean.item() == pytest.approx((policy.exp() * (policy - reference)).sum().item(), abs=1e-6)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("token-mean", (1 + 2 + 3 + 10) / 4),
        ("seq-mean-token-sum", (6 + 10) / 2),
        ("seq-mean-token-mean", (2 + 10) / 2),
        ("seq-mean-token-sum-norm", (6 + 10) / 8 / 2),
    ],
)
def test_tokens_become_a_loss_that_does_not_depend_on_the_micro_batches(mode, expected):
    losses = torch.tensor([[1.0, 2, 3], [10, 99, 99], [7, 7, 7]])
    mask = torch.tensor([[1.0, 1, 1], [1, 0, 0], [0, 0, 0]])
    total = total_of(mask, length=8)
    assert total == Total(4.0, 2.0, 8)
    whole = aggregate(losses, mask, mode, total)
    assert whole.item() == pytest.approx(expected)
    parts = [aggregate(losses[[row]], mask[[row]], mode, total) for row in range(3)]
    assert sum(parts).item() == pytest.approx(whole.item(), abs=1e-6)


def test_a_batch_in_which_nothing_counts_has_no_loss():
    mask = torch.zeros(2, 3)
    for mode in ("token-mean", "seq-mean-token-sum", "seq-mean-token-mean"):
        assert aggregate(torch.ones(2, 3), mask, mode, total_of(mask, 4)).item() == 0.0


def test_log_probabilities_and_entropies_are_those_of_the_softmax():
    logits = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    tokens = torch.randint(0, 7, (2, 3))
    logps = logits.log_softmax(dim=-1)
    assert torch.allclose(token_logps(logits, tokens), logps.gather(-1, tokens[..., None])[..., 0], atol=1e-6)
    assert torch.allclose(entropies(logits), -(logps.exp() * logps).sum(dim=-1), atol=1e-6)


def test_an_adaptive_penalty_is_led_towards_its_target_and_a_fixed_one_stays():
    adaptive, fixed = KlController(0.1, target=0.5, horizon=100), KlController(0.1)
    for controller in (adaptive, fixed):
        controller.update(1.0, samples=10)
    assert adaptive.coefficient == pytest.approx(0.1 * (1 + 0.2 * 10 / 100)) and fixed.coefficient == 0.1
    adaptive.update(0.0, samples=10)
    assert adaptive.coefficient == pytest.approx(0.102 * (1 - 0.2 * 10 / 100))
