import torch

from engines.generation.sampling import inverse_cumulative, next_tokens, uniforms
from engines.recipe.blocks import SamplingBlock


def frequencies(logits: torch.Tensor, sampling: SamplingBlock, count: int = 20_000) -> torch.Tensor:
    """Share of each token when the uniform numbers run evenly through [0, 1)."""
    uniform = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    tokens = next_tokens(logits.expand(count, -1), sampling, uniform)
    return torch.bincount(tokens, minlength=logits.shape[-1]).double() / count


LOGITS = torch.tensor([0.3, 2.0, -1.0, 1.5, 0.0, -3.0])


def test_tokens_are_drawn_with_their_softmax_probabilities():
    shares = frequencies(LOGITS, SamplingBlock(temperature=0.7))
    assert torch.allclose(shares, (LOGITS.double() / 0.7).softmax(-1), atol=2e-4)


def test_top_k_keeps_the_k_most_likely():
    shares = frequencies(LOGITS, SamplingBlock(temperature=1.0, top_k=2))
    assert shares.nonzero().flatten().tolist() == [1, 3]
    assert torch.allclose(shares[[1, 3]], LOGITS[[1, 3]].double().softmax(-1), atol=2e-4)


def test_top_p_keeps_the_smallest_set_with_that_mass():
    probabilities = LOGITS.double().softmax(-1)
    mass = float(probabilities[1] + probabilities[3])
    assert frequencies(LOGITS, SamplingBlock(temperature=1.0, top_p=mass - 0.01)).count_nonzero() == 2
    assert frequencies(LOGITS, SamplingBlock(temperature=1.0, top_p=mass + 0.01)).count_nonzero() == 3
    assert frequencies(LOGITS, SamplingBlock(temperature=1.0, top_p=1e-6)).argmax() == 1


def test_without_random_numbers_the_most_likely_token_is_taken():
    assert next_tokens(LOGITS.unsqueeze(0), SamplingBlock(), None).tolist() == [1]


def test_random_numbers_depend_on_seed_prompt_and_sample():
    base = uniforms(1, "a", 0, 8)
    assert torch.equal(base, uniforms(1, "a", 0, 8))
    for other in (
        uniforms(2, "a", 0, 8),
        uniforms(1, "b", 0, 8),
        uniforms(1, "a", 1, 8),
    ):
        assert not torch.equal(base, other)


def test_a_number_falls_where_the_running_sum_first_exceeds_it_in_vocabularies_of_any_size():
    draw = torch.Generator().manual_seed(0)
    for words in (1, 5, 128, 129, 640, 5000):
        weights = torch.randn(64, words, generator=draw).softmax(dim=-1)
        uniform = torch.rand(64, generator=draw, dtype=torch.float64)
        sums = weights.cumsum(dim=-1, dtype=torch.float64)
        expected = torch.searchsorted(sums, uniform.unsqueeze(1) * sums[:, -1:], right=True).squeeze(1)
        assert torch.equal(inverse_cumulative(weights, uniform), expected)


def test_no_number_falls_on_a_token_without_weight():
    weights = torch.zeros(2, 300)
    weights[0, 7] = weights[1, 129] = 0.3
    for number in (0.0, 0.5, 1 - 2**-53):
        uniform = torch.full((2,), number, dtype=torch.float64)
        assert inverse_cumulative(weights, uniform).tolist() == [7, 129]
