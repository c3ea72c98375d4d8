import math

import pytest
import torch

from engines.jepa.distances import distances

PREDICTIONS = torch.tensor([[3.0, 4.0], [1.0, 0.0]])
TARGETS = torch.tensor([[4.0, 3.0], [0.0, 2.0]])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("cosine", [1 - 24 / 25, 1.0]),
        ("l2", [math.sqrt(2), math.sqrt(5)]),
        ("mse", [1.0, 2.5]),
        ("smooth_l1", [0.5, (0.5 + 1.5) / 2]),
    ],
)
def test_distances_are_those_by_hand(kind, expected):
    assert distances(kind, PREDICTIONS, TARGETS, temperature=1).tolist() == pytest.approx(expected, abs=1e-6)


def test_infonce_is_the_cross_entropy_of_the_right_one():
    cosines = [[24 / 25, 4 / 5], [4 / 5, 0.0]]
    expected = [math.log(sum(math.exp(s / 0.5) for s in row)) - row[i] / 0.5 for i, row in enumerate(cosines)]
    found = distances("infonce", PREDICTIONS, TARGETS, temperature=0.5)
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["cosine", "l2", "mse", "smooth_l1", "infonce"])
def test_distances_are_float32_and_have_gradients_where_prediction_and_target_agree(kind):
    same = torch.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=torch.bfloat16, requires_grad=True)
    found = distances(kind, same, same.detach(), temperature=0.07)
    assert found.dtype == torch.float32
    found.sum().backward()
    assert same.grad.isfinite().all()
