"""Directions from activations of right and wrong texts, and the directions that they must beat.

Everything is within questions: activations are averaged within (question, label), and a question counts once, as the
difference of its two means. What questions are about cancels; what right and wrong texts of one question differ in stays.
"""

from collections.abc import Callable, Sequence

import torch

from engines.recipe.errors import RecipeError
from engines.steer.logistic import fit

Raw = torch.Tensor
"""(layers, size): directions before they are made unit vectors."""


def class_means(
    values: torch.Tensor, labels: Sequence[bool], questions: Sequence[str]
) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Means over right sides and over wrong sides, (questions, layers, size) each, of questions that have both."""
    groups: dict[str, tuple[list[int], list[int]]] = {}
    for place, (question, label) in enumerate(zip(questions, labels, strict=True)):
        groups.setdefault(question, ([], []))[0 if label else 1].append(place)
    kept = [question for question, (right, wrong) in groups.items() if right and wrong]
    if len(kept) < 2:
        raise RecipeError(
            f"steering: {len(kept)} of {len(groups)} questions have both a right and a wrong text",
            hint="use more questions, more samples of each, or the pair scheme P1",
        )
    right = torch.stack([values[groups[question][0]].mean(dim=0) for question in kept])
    wrong = torch.stack([values[groups[question][1]].mean(dim=0) for question in kept])
    return right, wrong, kept


def mean_difference(values: torch.Tensor, labels: Sequence[bool], questions: Sequence[str]) -> Raw:
    """Mean over questions of right minus wrong (Rimsky et al. 2024, 2312.06681), within questions."""
    right, wrong, _ = class_means(values, labels, questions)
    return (right - wrong).mean(dim=0)


def pca(values: torch.Tensor, labels: Sequence[bool], questions: Sequence[str]) -> Raw:
    """The first principal direction of the differences, not centred, so that what all of them share is part of it, as in
    representation engineering (Zou et al. 2023, 2310.01405) where the order within pairs is random. It points towards
    right, and is as long as the mean difference along it."""
    right, wrong, _ = class_means(values, labels, questions)
    differences = (right - wrong).double()
    mean = differences.mean(dim=0)
    first = torch.stack(
        [torch.linalg.svd(layer, full_matrices=False).Vh[0] for layer in differences.unbind(dim=1)]
    )
    return ((mean * first).sum(dim=-1, keepdim=True) * first).float()


def logistic(values: torch.Tensor, labels: Sequence[bool], questions: Sequence[str], c: float = 0.1) -> Raw:
    """The direction of a logistic probe on the class means, in the activations' own units (coefficients divided by the
    scale of the features), as long as the mean difference along it."""
    right, wrong, _ = class_means(values, labels, questions)
    mean = (right - wrong).double().mean(dim=0)
    y = torch.cat([torch.ones(len(right)), torch.zeros(len(wrong))])
    # Around each question's own middle: what questions are about is no part of the probe.
    middle = (right + wrong) / 2
    x = torch.cat([right - middle, wrong - middle])
    found = torch.stack([fit(x[:, layer], y, c).direction for layer in range(x.shape[1])])
    unit = found / found.norm(dim=-1, keepdim=True)
    return ((mean * unit).sum(dim=-1, keepdim=True) * unit).float()


def random_directions(layers: int, size: int, seed: int) -> Raw:
    """Uniform on the sphere, a direction of its own at each layer."""
    return torch.randn(layers, size, generator=torch.Generator().manual_seed(seed))


def random_in_pca(values: torch.Tensor, components: int, seed: int) -> Raw:
    """Uniform within the span of the activations' first principal directions: where activations really vary, which most
    of the sphere is not."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for layer in values.double().unbind(dim=1):
        basis = torch.linalg.svd(layer - layer.mean(dim=0), full_matrices=False).Vh[:components]
        found.append(torch.randn(len(basis), generator=generator, dtype=torch.float64) @ basis)
    return torch.stack(found).float()


def shuffled(values: torch.Tensor, labels: Sequence[bool], questions: Sequence[str], seed: int) -> Raw:
    """The mean difference for labels that are shuffled within questions: all that the estimator finds in nothing."""
    generator = torch.Generator().manual_seed(seed)
    places: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        places.setdefault(question, []).append(place)
    mixed = list(labels)
    for group in places.values():
        for place, other in zip(group, torch.randperm(len(group), generator=generator).tolist(), strict=True):
            mixed[place] = labels[group[other]]
    return mean_difference(values, mixed, questions)


def sign_flipped(raw: Raw) -> Raw:
    return -raw


def covariate(values: torch.Tensor, amounts: Sequence[float], questions: Sequence[str]) -> Raw:
    """The direction in which activations go with an amount, such as the text's length, within questions."""
    places: dict[str, list[int]] = {}
    for place, question in enumerate(questions):
        places.setdefault(question, []).append(place)
    centred, amount = values.clone(), torch.tensor(list(amounts), dtype=values.dtype)
    for group in places.values():
        centred[group] -= values[group].mean(dim=0)
        amount[group] -= amount[group].mean()
    return (amount[:, None, None] * centred).mean(dim=0)


def without_covariate(
    raw: Raw, values: torch.Tensor, amounts: Sequence[float], questions: Sequence[str]
) -> tuple[Raw, list[float]] | None:
    """The direction without what goes with an amount in it, and the cosine of the two at each layer. None where the
    amount is the same in all texts of each question, so that it has no direction."""
    other = covariate(values, amounts, questions)
    if not bool((other.norm(dim=-1) > 0).all()):
        return None
    return orthogonalised(raw, other), torch.cosine_similarity(raw, other, dim=-1).tolist()


def orthogonalised(raw: Raw, other: Raw) -> Raw:
    """Without what lies along another direction, layer by layer."""
    unit = other / other.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    return raw - (raw * unit).sum(dim=-1, keepdim=True) * unit


METHODS: dict[str, Callable[[torch.Tensor, Sequence[bool], Sequence[str]], Raw]] = {
    "mean_difference": mean_difference,
    "pca": pca,
    "logistic": logistic,
}
"""Methods that find a direction; the others here are what it is measured against."""
