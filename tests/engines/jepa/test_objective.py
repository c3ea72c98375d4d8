import pytest
import torch

from engines.jepa.fields import JepaBlock
from engines.jepa.objective import embedding_loss, pair_count, weight_at

PREDICTIONS = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
TARGETS = torch.tensor([[1.0, 0.0], [3.0, 3.0], [0.0, 5.0]])


def test_the_embedding_loss_is_a_sum_over_pairs_and_shuffled_ones_take_their_partners_target():
    partner = torch.tensor([1, 2, -1])
    usual = embedding_loss(JepaBlock(distance="mse"), PREDICTIONS, TARGETS, partner)
    assert float(usual) == pytest.approx(0 + (9 + 4) / 2 + (4 + 9) / 2)
    block = JepaBlock(distance="mse", control="shuffle")
    shuffled = embedding_loss(block, PREDICTIONS, TARGETS, partner)
    assert float(shuffled) == pytest.approx((4 + 9) / 2 + (0 + 16) / 2)
    assert pair_count(block, partner) == 2 and pair_count(JepaBlock(), partner) == 3


@pytest.mark.parametrize("distance", ["cosine", "l2", "mse", "smooth_l1", "infonce"])
@pytest.mark.parametrize("pairs", [0, 1])
def test_no_pair_or_one_gives_a_number_and_finite_gradients(distance, pairs):
    predictions = PREDICTIONS[:pairs].clone().requires_grad_()
    targets = TARGETS[:pairs].clone().requires_grad_()
    for control in ("none", "shuffle"):
        block = JepaBlock(distance=distance, control=control)
        loss = embedding_loss(block, predictions, targets, torch.full((pairs,), -1))
        loss.backward()
        assert loss.isfinite() and predictions.grad.isfinite().all()


@pytest.mark.parametrize(
    ("fields", "weights"),
    [
        ({}, [0.5, 0.5, 0.5, 0.5]),
        ({"lambda_warmup_steps": 2}, [0.0, 0.25, 0.5, 0.5]),
        ({"lambda_warmup_steps": 0.5}, [0.0, 0.125, 0.25, 0.375]),  # 4 of 8 steps
        ({"mode": "monitor"}, [0.0] * 4),
        ({"mode": "regular"}, [0.0] * 4),
        ({"control": "same_compute"}, [0.0] * 4),
        ({"control": "shuffle"}, [0.5] * 4),
    ],
    ids=str,
)
def test_lambda_grows_over_the_warm_up_and_is_nothing_where_nothing_is_trained_on(fields, weights):
    block = JepaBlock.model_validate({"lambda": 0.5, **fields})
    assert [weight_at(block, step, 8) for step in range(4)] == weights
