"""Figures about gradients whose relations are planted."""

import pytest
import torch

from engines.surgery.statistics import Part, calibrate, conflict, cosines, effect


def gram(rows):
    rows = torch.as_tensor(rows, dtype=torch.float64)
    return rows @ rows.T


def test_conflicts_are_counted_by_pair_and_weighed_by_size():
    rows = [[1.0, 0.0], [-2.0, 0.0], [0.0, 3.0]]
    found = conflict(gram(rows))
    assert found["conflict_rate"] == pytest.approx(1 / 3)
    assert found["conflict_mass"] == pytest.approx(2 / (2 + 3 + 6))
    assert conflict(gram([[1.0, 2.0]])) == {"conflict_rate": 0.0, "conflict_mass": 0.0}


def test_a_zero_gradient_has_no_cosine_and_no_conflict():
    found = gram([[1.0, 0.0], [0.0, 0.0]])
    assert cosines(found)[0, 1].isnan() and conflict(found)["conflict_rate"] == 0


def test_what_a_method_changed_is_told_from_the_gramian_as_from_the_gradients():
    rows = torch.randn(4, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    coefficients = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    weights = coefficients.mean(dim=0)
    pieces = [rows[:, :5], rows[:, 5:]]  # two groups, decided alike
    found = effect([Part(piece @ piece.T, weights, coefficients) for piece in pieces])
    update, mean = weights @ rows, rows.mean(dim=0)
    assert found["cos_to_mean"] == pytest.approx(float(torch.cosine_similarity(update, mean, dim=0)))
    assert found["still_hurts"] == int((rows @ update < 0).sum())
    lost = (rows - coefficients @ rows).norm(dim=1) / rows.norm(dim=1)
    assert found["removed"] == pytest.approx(lost.tolist())


def test_the_plain_mean_changes_nothing():
    rows = torch.randn(3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    third = torch.full((3,), 1 / 3, dtype=torch.float64)
    found = effect([Part(gram(rows), third, torch.eye(3, dtype=torch.float64))])
    assert found["cos_to_mean"] == pytest.approx(1.0) and found["removed"] == [0.0, 0.0, 0.0]


def noisy_halves(signals, noise, columns, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.cat(
        [
            signals + noise * torch.randn(len(signals), columns, dtype=torch.float64, generator=generator)
            for _ in range(2)
        ]
    )


def test_noise_hides_a_cosine_and_the_split_half_brings_it_back():
    columns = 4000
    signals = torch.zeros(2, columns, dtype=torch.float64)
    signals[0, 0], signals[1, 0], signals[1, 1] = 60.0, 36.0, 48.0  # cosine 0.6
    halves = noisy_halves(signals, 1.0, columns, seed=4)
    found = calibrate(gram(halves))
    raw = float(cosines(gram(halves[:2] + halves[2:]))[0, 1])
    assert found.reliability == pytest.approx([3600 / 7600] * 2, abs=0.05)
    assert raw < 0.45
    assert found.corrected[0][1] == pytest.approx(0.6, abs=0.05) and found.corrected[0][0] is None


def test_pure_noise_conflicts_half_of_the_time_and_is_not_corrected():
    halves = noisy_halves(torch.zeros(8, 500, dtype=torch.float64), 1.0, 500, seed=1)
    whole = gram(halves[:8] + halves[8:])
    assert 0.25 < conflict(whole)["conflict_rate"] < 0.75
    found = calibrate(gram(halves))
    assert max(map(abs, found.reliability)) < 0.2
    unreliable = [t for t in range(8) if found.reliability[t] <= 0.05]
    assert unreliable and all(one is None for t in unreliable for one in found.corrected[t])


@pytest.mark.parametrize("empty", [0, 1])
def test_a_task_of_which_one_half_has_no_gradient_is_never_corrected(empty):
    rows = torch.eye(3, dtype=torch.float64)[[0, 1, 0, 1]] + torch.eye(3, dtype=torch.float64)[2]
    rows[2 + empty] = 0
    assert calibrate(rows @ rows.T).corrected == [[None, None], [None, None]]
