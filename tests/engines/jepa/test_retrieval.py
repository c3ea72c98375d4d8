import pytest
import torch

from engines.jepa.alarm import collapse_warnings
from engines.jepa.retrieval import cosines, effective_rank, margin, mean_direction_energy, retrieval, spread


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
