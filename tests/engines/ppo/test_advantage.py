"""Advantages against values worked out by hand and by brute force."""

import pytest
import torch

from engines.ppo.advantage import (
    explained_variance,
    gae,
    group_relative,
    same_reward_groups,
    token_rewards,
    whiten,
)


def brute_force(rewards, values, gamma, lam):
    """The definition: the discounted sum of temporal differences, of one row without holes."""
    count = len(rewards)
    following = [*values[1:], 0.0]
    deltas = [rewards[t] + gamma * following[t] - values[t] for t in range(count)]
    return [sum((gamma * lam) ** (k - t) * deltas[k] for k in range(t, count)) for t in range(count)]


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 1.0), (0.99, 0.95), (0.9, 0.0)])
def test_estimates_are_the_definitions_with_holes_in_the_mask_left_out(gamma, lam):
    draw = torch.Generator().manual_seed(0)
    rewards, values = torch.randn(20, 9, generator=draw), torch.randn(20, 9, generator=draw)
    mask = (torch.rand(20, 9, generator=draw) < 0.6).float()
    advantages, returns = gae(rewards, values, mask, gamma, lam)
    for row in range(20):
        kept = mask[row].nonzero().squeeze(1)
        expected = brute_force(rewards[row, kept].tolist(), values[row, kept].tolist(), gamma, lam)
        assert advantages[row, kept].tolist() == pytest.approx(expected, abs=1e-5)
        assert not advantages[row][mask[row] == 0].any()
        assert torch.allclose(returns[row, kept], advantages[row, kept] + values[row, kept])


def test_without_discount_returns_are_the_rewards_to_go_whatever_the_critic_says():
    rewards = torch.tensor([[0.0, 1.0, 2.0, 4.0]])
    values = torch.randn(1, 4)
    _, returns = gae(rewards, values, torch.ones(1, 4), 1.0, 1.0)
    assert torch.allclose(returns, torch.tensor([[7.0, 7.0, 6.0, 4.0]]), atol=1e-6)


def test_the_reward_comes_at_the_last_token_that_counts_and_an_empty_response_earns_nothing():
    mask = torch.tensor([[1.0, 1, 0], [1, 1, 1], [0, 0, 0], [1, 0, 0]])
    found = token_rewards(torch.tensor([1.0, 2.0, 3.0, 4.0]), mask)
    assert found.tolist() == [[0, 1, 0], [0, 0, 2], [0, 0, 0], [4, 0, 0]]
    advantages, returns = gae(found, torch.zeros(4, 3), mask)
    assert advantages.isfinite().all() and not advantages[2].any() and not returns[2].any()


def test_each_task_is_standardized_over_its_own_tokens():
    draw = torch.Generator().manual_seed(1)
    advantages = torch.randn(8, 5, generator=draw)
    advantages[4:] = advantages[4:] * 100 + 7
    mask = (torch.rand(8, 5, generator=draw) < 0.7).float()
    units = [0] * 4 + [1] * 4
    found, degenerate = whiten(advantages, mask, units)
    assert not degenerate
    for rows in (slice(0, 4), slice(4, 8)):
        own = found[rows][mask[rows] > 0]
        assert float(own.mean()) == pytest.approx(0, abs=1e-6)
        assert float(own.std(correction=0)) == pytest.approx(1, abs=1e-5)
    assert not found[mask == 0].any()
    together, _ = whiten(advantages, mask, [0] * 8)
    assert float(together[:4].abs().max()) < 0.2 < float(found[:4].abs().max())


def test_a_task_with_one_token_or_equal_advantages_has_no_signal_and_no_nan():
    advantages = torch.tensor([[0.3, 0.3], [0.3, 0.3], [5.0, 0.0], [1.0, -1.0]])
    mask = torch.tensor([[1.0, 1], [1, 1], [1, 0], [1, 1]])
    found, degenerate = whiten(advantages, mask, [0, 0, 1, 2])
    assert degenerate == {0, 1}
    assert not found[:3].any() and found.isfinite().all() and found[3].any()


def test_groups_are_compared_with_themselves():
    rewards, groups = torch.tensor([1.0, 0.0, 0.0, 0.0, 5.0, 5.0, 3.0]), torch.tensor([0, 0, 0, 0, 1, 1, 2])
    found = group_relative(rewards, groups)
    assert found[0] == pytest.approx(0.75 / (0.1875**0.5), abs=1e-4)
    assert not found[4:].any()
    others = group_relative(rewards, groups, leave_one_out=True)
    assert others.tolist() == pytest.approx([1.0, -1 / 3, -1 / 3, -1 / 3, 0.0, 0.0, 0.0])
    assert same_reward_groups(rewards, groups).tolist() == [False] * 4 + [True] * 3


def test_explained_variance_is_one_for_a_prophet_and_zero_for_a_constant():
    returns, mask = torch.tensor([[1.0, 2.0], [3.0, 9.0]]), torch.tensor([[1.0, 1], [1, 0]])
    assert explained_variance(returns, returns, mask) == pytest.approx(1.0)
    assert explained_variance(torch.full((2, 2), 2.0), returns, mask) == pytest.approx(0.0)
    assert explained_variance(returns, torch.ones(2, 2), mask) != explained_variance(returns, returns, mask)
