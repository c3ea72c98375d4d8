"""What each method makes of gradients whose right answer is known."""

from importlib.util import find_spec

import pytest
import torch

from engines.recipe.errors import RecipeError
from engines.surgery.methods import Situation, decide
from engines.surgery.torchjd_methods import NEEDS, check_installed

OURS = ("equal", "pcgrad", "gradvac", "normalized")


def situation(count, seed=0, shares=None):
    return Situation(
        torch.Generator().manual_seed(seed),
        torch.full((count,), 1 / count, dtype=torch.float64) if shares is None else shares,
        tuple(range(count)),
        torch.zeros(count, count, dtype=torch.float64),
    )


def gram(rows):
    rows = torch.as_tensor(rows, dtype=torch.float64)
    return rows @ rows.T


def update(rows, method, seed=0):
    rows = torch.as_tensor(rows, dtype=torch.float64)
    return decide(method, gram(rows), situation(len(rows), seed)).weights @ rows


def projected_by_hand(rows, seed):
    """Algorithm 1 of the paper on the gradients themselves, with the same orders; the mean of the projected ones."""
    generator = torch.Generator().manual_seed(seed)
    changed = []
    for i, row in enumerate(rows):
        own = row.clone()
        for j in torch.randperm(len(rows), generator=generator).tolist():
            if j != i and own @ rows[j] < 0:
                own -= (own @ rows[j]) / (rows[j] @ rows[j]) * rows[j]
        changed.append(own)
    return torch.stack(changed).mean(dim=0)


@pytest.mark.parametrize("method", ["pooled", *OURS])
def test_one_task_alone_keeps_its_gradient(method):
    rows = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.float64)
    assert torch.equal(update(rows, method), rows[0])


@pytest.mark.parametrize("method", ["pcgrad", "gradvac", "pcgrad_placebo"])
def test_without_conflict_the_weights_are_those_of_the_plain_mean_bit_for_bit(method):
    rows = torch.rand(6, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert torch.equal(update(rows, method), update(rows, "equal"))
    orthogonal = torch.eye(6, 40, dtype=torch.float64)
    assert torch.equal(update(orthogonal, method), update(orthogonal, "equal"))


def test_two_tasks_in_conflict_no_longer_hurt_each_other_and_the_update_is_the_one_derived_by_hand():
    rows = torch.tensor([[1.0, 0.0], [-1.0, 1.0]], dtype=torch.float64)
    # g1 - <g1,g2>/|g2|^2 g2 = (1/2, 1/2), and g2 - <g2,g1>/|g1|^2 g1 = (0, 1); their mean:
    found = update(rows, "pcgrad")
    assert torch.allclose(found, torch.tensor([0.25, 0.75], dtype=torch.float64))
    assert (rows @ found >= 0).all()
    plain = update(rows, "equal")
    assert torch.equal(plain, torch.tensor([0.0, 0.5], dtype=torch.float64)) and not torch.allclose(
        found, plain
    )


@pytest.mark.parametrize("method", OURS)
def test_identical_tasks_are_one_task(method):
    one = torch.tensor([3.0, -1.0, 2.0], dtype=torch.float64)
    assert torch.allclose(update(one.repeat(4, 1), method), one)


@pytest.mark.parametrize("method", OURS)
def test_a_task_without_a_gradient_makes_no_nan(method):
    rows = torch.tensor([[1.0, 0.0], [0.0, 0.0], [-1.0, 1.0]], dtype=torch.float64)
    found = update(rows, method)
    assert found.isfinite().all()
    assert torch.equal(update(torch.zeros(3, 2), method), torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("seed", range(8))
def test_the_gramian_comes_to_what_projecting_the_gradients_comes_to(seed):
    rows = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    assert (update(rows, "pcgrad", seed) - projected_by_hand(rows, seed)).abs().max() < 1e-6


def test_the_same_seed_takes_the_same_orders_and_the_order_matters():
    rows = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.equal(update(rows, "pcgrad", 5), update(rows, "pcgrad", 5))
    assert len({tuple(update(rows, "pcgrad", seed).tolist()) for seed in range(5)}) > 1


def test_pooling_weighs_by_size_and_equal_does_not():
    shares = torch.tensor([0.75, 0.25], dtype=torch.float64)
    rows = torch.eye(2, dtype=torch.float64)
    assert torch.equal(decide("pooled", gram(rows), situation(2, shares=shares)).weights, shares)
    assert torch.equal(
        decide("equal", gram(rows), situation(2, shares=shares)).weights,
        torch.tensor([0.5, 0.5], dtype=torch.float64),
    )


def test_gradient_vaccine_pulls_towards_a_cosine_that_it_has_learnt():
    rows = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    at = situation(2)
    at.targets[0, 1] = at.targets[1, 0] = 0.5
    found = decide("gradvac", gram(rows), at)
    changed = found.coefficients @ rows
    # Task 1 went first, against the original gradient of task 2; the closed form brings the cosine to the target.
    cosine = changed[0] @ rows[1] / (changed[0].norm() * rows[1].norm())
    assert abs(float(cosine) - 0.5) < 1e-9
    assert at.targets[0, 1] == 0.25


def test_a_method_whose_packages_are_missing_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr("engines.surgery.torchjd_methods.find_spec", lambda name: None)
    with pytest.raises(
        RecipeError, match="`upgrad` needs packages that are not installed: torchjd, qpsolvers"
    ) as error:
        check_installed("upgrad")
    assert "tunedeck[surgery]" in error.value.hint
    check_installed("pcgrad")


def needs(method):
    return pytest.mark.skipif(
        any(find_spec(package) is None for package in NEEDS.get(method, ("torchjd",))),
        reason=f"{method} needs packages that are not installed",
    )


@needs("pcgrad")
@pytest.mark.parametrize("seed", range(4))
def test_pcgrad_is_that_of_torchjd_divided_by_the_number_of_tasks(seed):
    from torchjd.aggregation import PCGradWeighting

    rows = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    theirs = PCGradWeighting()(gram(rows)) / 5
    assert torch.allclose(decide("pcgrad", gram(rows), situation(5, seed)).weights, theirs, atol=1e-9)


@needs("gradvac")
def test_gradient_vaccine_of_two_tasks_is_that_of_torchjd_over_many_steps():
    from torchjd.aggregation import GradVacWeighting

    theirs, at = GradVacWeighting(beta=0.5, eps=0.0), situation(2)
    for seed in range(6):  # two tasks have one order, so that both draw alike
        rows = torch.randn(2, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        assert torch.allclose(decide("gradvac", gram(rows), at).weights, theirs(gram(rows)) / 2, atol=1e-9)


@needs("mgda")
def test_mgda_finds_the_shortest_combination():
    rows = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    weights = decide("mgda", gram(rows), situation(2)).weights
    assert torch.allclose(weights, torch.tensor([0.8, 0.2], dtype=torch.float64), atol=1e-2)


@pytest.mark.parametrize("method", [pytest.param(name, marks=needs(name)) for name in NEEDS])
def test_each_weighting_of_torchjd_gives_finite_weights_that_help_both_of_two_tasks(method):
    rows = torch.tensor([[1.0, 0.2, 0.0], [-0.5, 1.0, 0.3]], dtype=torch.float64)
    found = decide(method, gram(rows), situation(2)).weights
    assert found.dtype == torch.float64 and found.isfinite().all()
    assert (rows @ (found @ rows) > 0).all()


def test_gradient_vaccine_stays_finite_where_tasks_that_were_always_alike_part():
    alike = torch.ones(2, 2, dtype=torch.float64)
    where = situation(2)
    for _ in range(60):
        decide("gradvac", alike, where)
    assert where.targets[0, 1] == 1.0
    weights = decide("gradvac", torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64), where).weights
    assert weights.isfinite().all() and float(weights.abs().max()) <= 1.0
