import math

import pytest
import torch

from engines.jepa.alarm import collapse_warnings
from engines.jepa.retrieval import (
    centred,
    cosines,
    effective_rank,
    linear_r2,
    margin,
    mean_direction_energy,
    retrieval,
    spread,
    uniformity,
)


def test_retrieval_counts_first_places_ranks_and_chance():
    scores = torch.tensor([[0.9, 0.1, 0.2], [0.5, 0.4, 0.3], [0.1, 0.2, 0.3]])
    found = retrieval(scores, torch.tensor([0, 1, 2]), torch.ones(3, 3, dtype=torch.bool))
    assert found == pytest.approx({"r1": 2 / 3, "mrr": (1 + 0.5 + 1) / 3, "chance": 1 / 3})
    allowed = torch.tensor([[1, 1, 0], [0, 1, 1], [0, 0, 1]]).bool()
    found = retrieval(scores, torch.tensor([0, 1, 2]), allowed)
    assert found == pytest.approx({"r1": 1, "mrr": 1, "chance": (0.5 + 0.5 + 1) / 3})


def test_embeddings_that_are_all_the_same_find_nothing():
    same = torch.ones(5, 4)
    found = retrieval(cosines(same, same), torch.arange(5), torch.ones(5, 5, dtype=torch.bool))
    assert found["r1"] == 0 and found["mrr"] == pytest.approx(1 / 5)
    assert effective_rank(same) == pytest.approx(1, abs=1e-3)
    assert mean_direction_energy(same) == pytest.approx(1) and spread(same) == pytest.approx(0, abs=1e-6)


def test_embeddings_in_all_directions_have_full_rank_and_no_mean():
    axes = torch.cat([torch.eye(4), -torch.eye(4)])
    assert effective_rank(axes) == pytest.approx(4, rel=1e-3)
    assert mean_direction_energy(axes) == pytest.approx(0) and spread(axes) == pytest.approx(1)


def test_the_margin_is_between_pairs_and_unrelated_ones():
    scores = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    paired, apart = margin(scores, torch.tensor([0, 1]), ~torch.eye(2, dtype=torch.bool))
    assert (paired, apart) == pytest.approx((0.8, 0.2))


def random(rows, width, seed=0):
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))


def test_uniformity_is_that_by_hand():
    assert uniformity(torch.ones(5, 4)) == pytest.approx(0, abs=1e-6)
    corners = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-3.0, 0.0]])  # squared distances 2, 4 and 2
    expected = math.log((2 * math.exp(-4) + math.exp(-8)) / 3)
    assert uniformity(corners) == pytest.approx(expected, abs=1e-6)
    assert uniformity(random(200, 512)) == pytest.approx(-4, abs=0.1)


def test_a_margin_that_a_common_direction_hides_is_there_after_centring():
    own = random(20, 16)
    predictions, targets = 100 + own, 100 + own
    right, unrelated = torch.arange(20), ~torch.eye(20, dtype=torch.bool)
    paired, apart = margin(cosines(predictions, targets), right, unrelated)
    assert paired - apart < 1e-3
    paired, apart = margin(cosines(*centred(predictions, targets)), right, unrelated)
    assert paired - apart > 0.9


def test_a_linear_map_explains_what_it_makes_and_nothing_of_what_it_does_not():
    predictions, groups = random(90, 8), torch.arange(90) // 3
    made = predictions @ random(8, 8, seed=1) + 5
    assert linear_r2(predictions, made, groups) > 0.99
    assert linear_r2(predictions, random(90, 8, seed=2), groups) < 0.05
    assert math.isnan(linear_r2(predictions, made, torch.zeros(90)))


def test_a_map_is_not_judged_by_the_examples_that_it_was_fitted_on():
    """More dimensions than examples: any targets at all could be fitted."""
    predictions, targets = random(40, 64), random(40, 64, seed=1)
    assert linear_r2(predictions, targets, torch.arange(40)) < 0.05
    # Nor by another step of the same example, from which it could be known.
    doubled = torch.arange(40).repeat_interleave(2)
    twice = (predictions.repeat_interleave(2, dim=0), targets.repeat_interleave(2, dim=0))
    assert linear_r2(*twice, torch.arange(80)) > 0.5 > 0.05 > linear_r2(*twice, doubled)


START = {"jepa_loss": 0.8, "retrieval": 0.01, "margin": 0.0, "energy": 0.5, "spread": 0.6, "pairs": 300}


@pytest.mark.parametrize(
    ("later", "causes"),
    [
        ([{"jepa_loss": 0.3, "retrieval": 0.5, "margin": 0.4}], set()),
        ([{"energy": 0.995}], {"energy"}),
        ([{"spread": 0.05}], {"spread"}),
        (
            [
                {"retrieval": 0.787, "jepa_loss": 0.4},
                {"retrieval": 0.677, "jepa_loss": 0.3},
            ],  # as was measured of LLM-JEPA on GSM8K
            {"retrieval"},
        ),
        (
            [{"retrieval": 0.787, "jepa_loss": 0.4}, {"retrieval": 0.677, "jepa_loss": 0.3, "pairs": 50}],
            set(),
        ),
        ([{"margin": 0.5, "jepa_loss": 0.4}, {"margin": 0.2, "jepa_loss": 0.3}], {"margin"}),
        ([{"retrieval": 0.787, "jepa_loss": 0.3}, {"retrieval": 0.6, "jepa_loss": 0.4}], set()),
        ([{"retrieval": 0.02, "jepa_loss": 0.4}, {"retrieval": 0.01, "jepa_loss": 0.3}], set()),
    ],
)
def test_the_alarm_goes_off_when_a_better_loss_comes_with_worse_embeddings(later, causes):
    history = [START, *({**START, **figures} for figures in later)]
    assert set(collapse_warnings(history)) == causes


def test_embeddings_that_began_in_one_direction_raise_no_alarm():
    assert not collapse_warnings([{**START, "energy": 0.995}, {**START, "energy": 0.993}])
