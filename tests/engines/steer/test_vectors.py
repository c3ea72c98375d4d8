import pytest
import torch

from engines.recipe.errors import RecipeError
from engines.steer.directions import directions
from engines.steer.logistic import auc, auc_interval, fit, folds, held_out_scores
from engines.steer.probes import probe_layers
from engines.steer.store import Activations
from engines.steer.vectors import (
    METHODS,
    covariate,
    mean_difference,
    orthogonalised,
    pca,
    random_in_pca,
    shuffled,
    without_covariate,
)

SIZE, QUESTIONS, EACH = 24, 60, 3
TRUTH = torch.nn.functional.normalize(torch.randn(SIZE, generator=torch.Generator().manual_seed(7)), dim=0)


@pytest.fixture(scope="module")
def sample():
    """Layer 0 has no signal, layer 1 has it along TRUTH; questions are far apart in both, features of unlike scale."""
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    scales = torch.linspace(0.2, 3.0, SIZE)
    values, labels, questions = [], [], []
    for question in range(QUESTIONS):
        middle = 5 * draw(2, SIZE)
        for label in (True, False):
            for _ in range(EACH):
                row = middle + draw(2, SIZE) * scales
                row[1] += (1.5 if label else -1.5) * TRUTH
                values.append(row)
                labels.append(label)
                questions.append(f"q{question}")
    return torch.stack(values), labels, questions


def cosine(one, other=TRUTH):
    return float(torch.cosine_similarity(one, other, dim=-1))


def test_the_mean_difference_weighs_every_question_once():
    values = torch.tensor([[[4.0]], [[6.0]], [[1.0]], [[10.0]], [[9.0]]])
    found = mean_difference(values, [True, True, False, True, False], ["a", "a", "a", "b", "b"])
    assert found.tolist() == [[(4.0 + 1.0) / 2]]


def test_questions_with_one_kind_of_text_are_left_out_and_too_few_are_told():
    values = torch.tensor([[[1.0]], [[0.0]], [[5.0]], [[3.0]], [[99.0]]])
    rows = (values, [True, False, True, False, True], ["a", "a", "b", "b", "c"])
    assert mean_difference(*rows).tolist() == [[1.5]]
    with pytest.raises(RecipeError, match="0 of 3 questions have both"):
        mean_difference(values, [True] * 5, rows[2])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_the_direction_where_it_is_and_its_sign(sample, method):
    found = METHODS[method](*sample)
    # A probe leans on features that vary little, so its direction is another, as good at telling the two apart.
    assert cosine(found[1]) > (0.4 if method == "logistic" else 0.8) and abs(cosine(found[0])) < 0.4


def test_a_first_principal_direction_that_is_centred_would_miss_what_all_differences_share(sample):
    values, labels, questions = sample
    right, wrong = values[torch.tensor(labels)][:, 1], values[~torch.tensor(labels)][:, 1]
    differences = (
        right.view(QUESTIONS, EACH, SIZE).mean(1) - wrong.view(QUESTIONS, EACH, SIZE).mean(1)
    ).double()
    centred = torch.linalg.svd(differences - differences.mean(dim=0)).Vh[0].float()
    assert abs(cosine(centred)) < 0.7 < cosine(pca(values, labels, questions)[1])


def test_coefficients_of_standardised_features_point_elsewhere():
    generator = torch.Generator().manual_seed(1)
    y = (torch.arange(400) % 2).float()
    x = torch.randn(400, 2, generator=generator) * torch.tensor([10.0, 0.1]) + (2 * y - 1)[
        :, None
    ] * torch.tensor([5.0, 0.05])
    model = fit(x, y)
    assert cosine(model.coefficients.float(), torch.tensor([1.0, 1.0])) > 0.95
    assert cosine(model.direction.float(), torch.tensor([0.0, 1.0])) > 0.99
    shifted = model.scores(x + 3 * torch.nn.functional.normalize(model.direction, dim=0)) - model.scores(x)
    assert torch.allclose(shifted, 3 * model.direction.norm().expand(400), rtol=1e-6)


@pytest.mark.parametrize("c", [0.01, 1.0, 100.0])
def test_the_fit_is_where_the_penalised_loss_is_flat(sample, c):
    values, labels, _ = sample
    y = torch.tensor(labels).double()
    model = fit(values[:, 1], y, c)
    z = (values[:, 1].double() - model.mean) / model.scale
    residual = y - torch.sigmoid(z @ model.coefficients + model.intercept)
    assert float(residual.sum().abs()) < 1e-4 * c * 100
    assert torch.allclose(model.coefficients, c * (residual @ z), atol=1e-4)


def test_shuffled_labels_leave_only_noise(sample):
    lengths = [float(shuffled(*sample, seed)[1].norm()) for seed in range(5)]
    assert max(lengths) < 0.7 * float(mean_difference(*sample)[1].norm())
    assert max(abs(cosine(shuffled(*sample, seed)[1])) for seed in range(5)) < 0.7
    assert not torch.equal(shuffled(*sample, 0), shuffled(*sample, 1))


def test_random_directions_in_the_principal_span_lie_in_it(sample):
    values = sample[0]
    centred = (values[:, 1] - values[:, 1].mean(dim=0)).double()
    basis = torch.linalg.svd(centred, full_matrices=False).Vh[:5]
    found = random_in_pca(values, 5, 0)[1].double()
    assert torch.allclose(found @ basis.T @ basis, found, atol=1e-4)


def test_what_goes_with_length_can_be_taken_out(sample):
    values, labels, questions = sample
    long = torch.nn.functional.normalize(torch.ones(SIZE), dim=0)
    lengths = torch.tensor([10.0 + 5 * label + place % 7 for place, label in enumerate(labels)])
    tainted = values + lengths[:, None, None] * long
    direction = covariate(tainted, lengths.tolist(), questions)
    clean = orthogonalised(mean_difference(tainted, labels, questions), direction)
    assert cosine(mean_difference(tainted, labels, questions)[1], long) > 0.7
    assert abs(cosine(clean[1], direction[1])) < 1e-5
    raw = mean_difference(tainted, labels, questions)
    found, along = without_covariate(raw, tainted, lengths.tolist(), questions)
    assert torch.equal(found, clean) and abs(along[1]) == pytest.approx(abs(cosine(raw[1], direction[1])))
    assert without_covariate(raw, tainted, [7.0] * len(questions), questions) is None


def test_directions_are_units_with_what_they_are_worth():
    raw = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    found = directions("block_out", "mean_difference", [2, 5], raw, [10.0, 20.0])
    assert torch.allclose(found.unit.norm(dim=-1), torch.ones(2)) and found.raw_norm == (5.0, 2.0)
    relative = found.steering([5, 2], 0.1).spec
    assert relative.layers == (2, 5) and relative.norm_ref == {2: 10.0, 5: 20.0}
    paper = found.steering([2], 1.5, preset="caa-paper").spec
    assert paper.norm_ref == {2: 5.0} and paper.preset == "caa-paper" and paper.alpha == 1.5
    wisent = found.steering([2], 1.5, preset="caa-wisent").spec
    assert wisent.where.prompt_window == (-2, -1)
    with pytest.raises(RecipeError, match=r"no length, or is not finite, at layers \[5\]"):
        directions("block_out", "pca", [2, 5], torch.tensor([[1.0, 0.0], [0.0, 0.0]]), [1.0, 1.0])


def test_auc_counts_ties_half_and_equals_the_share_of_ordered_pairs():
    scores = torch.tensor([0.1, 0.4, 0.4, 0.8, 0.8, 0.9]).double()
    y = torch.tensor([0, 0, 1, 1, 0, 1])
    pairs = [(a > b) + (a == b) / 2 for a in scores[y == 1] for b in scores[y == 0]]
    assert float(auc(scores, y)) == pytest.approx(float(sum(pairs)) / 9)
    assert float(auc(scores, torch.zeros(6))) == 0.5
    area, low, high = auc_interval(scores, y, ["a", "a", "b", "b", "c", "c"])
    assert low < area == float(auc(scores, y)) < high


def test_no_question_is_in_training_and_test_and_memory_of_questions_does_not_pay(sample):
    values, _, questions = sample
    fold = folds(questions)
    for question in set(questions):
        assert len({int(fold[place]) for place, other in enumerate(questions) if other == question}) == 1
    by_question = torch.tensor([hash_ % 2 for hash_ in range(QUESTIONS) for _ in range(2 * EACH)]).float()
    scores = held_out_scores(values[:, 0], by_question, questions)
    assert float(auc(scores, by_question)) < 0.7, (
        "features of a question would tell its label, had it been seen"
    )


def test_probes_tell_the_layer_with_a_signal_from_the_one_without(sample):
    values, labels, questions = sample
    near = values.clone()
    place = {
        question: [i for i, other in enumerate(questions) if other == question] for question in set(questions)
    }
    for rows in place.values():
        near[rows] -= values[rows].mean(dim=0)
    none, signal = probe_layers(Activations(near, (4, 9), tuple(questions), tuple(labels), (10.0, 10.0)))
    assert (none.layer, signal.layer) == (4, 9)
    assert none.low < 0.5 < none.high or none.auc < 0.5
    assert signal.low > 0.9 and signal.d_prime > 2 > none.d_prime
    assert signal.split_half > 0.8 > none.split_half and signal.pairwise > 0.1 > none.pairwise
    assert signal.norm_share == pytest.approx(0.3, abs=0.05)
