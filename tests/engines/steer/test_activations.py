import pytest
import torch

from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.steer.activations import Reading, locate, median_norms, read_activations, steered_positions
from engines.steer.hooks import steered
from engines.steer.sites import find_decoder

FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gpt2", "gptj", "falcon")
READINGS = [
    Reading((10, 20, 30, 41, 51, 61, 71), (6,)),
    Reading((70, 71), (0,)),
    Reading((11, 12, 13, 14, 15), (1, 2, 3)),
    Reading((5,), (0,)),
]
SPEC = PromptSpec()
PROMPT = "Tom has 12 apples."


def alone(model, reading, layer):
    """What block `layer` gives for one text by itself, without padding."""
    seen = []
    handle = (
        find_decoder(model)
        .blocks[layer]
        .register_forward_hook(
            lambda _m, _a, output: seen.append(output[0] if isinstance(output, tuple) else output)
        )
    )
    with torch.inference_mode():
        model(torch.tensor([reading.ids]))
    handle.remove()
    return seen[0][0, list(reading.positions)].mean(dim=0)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("padding", ["left", "right"])
def test_padding_on_either_side_gives_what_a_text_alone_gives(family_model, family, padding):
    model = family_model(family)
    found = read_activations(model, READINGS, "block_out", [0, 3], pad=3, padding=padding)
    assert found.shape == (4, 2, 32) and found.dtype == torch.float32
    for row, reading in enumerate(READINGS):
        for place, layer in enumerate((0, 3)):
            assert torch.allclose(found[row, place], alone(model, reading, layer), atol=1e-3)


def test_the_last_column_of_a_right_padded_batch_is_not_what_is_read(family_model):
    model = family_model("llama")
    ids = torch.tensor([list(READINGS[0].ids), [*READINGS[1].ids, *[3] * 5]])
    with torch.inference_mode():
        naive = model(ids, attention_mask=ids.ne(3).long(), output_hidden_states=True).hidden_states[1][:, -1]
    last = [READINGS[0], Reading(READINGS[1].ids, (1,))]
    found = read_activations(model, last, "block_out", [0], pad=3, padding="right")[:, 0]
    assert torch.allclose(found[0], naive[0], atol=1e-4) and not torch.allclose(found[1], naive[1], atol=0.1)


def test_the_batch_size_does_not_matter_and_one_pass_serves_all_layers(family_model):
    model, passes = family_model("qwen2"), []
    handle = find_decoder(model).body.register_forward_pre_hook(lambda _m, _a: passes.append(1))
    whole = read_activations(model, READINGS, "block_out", [0, 1, 2, 3], pad=3, batch_size=4)
    handle.remove()
    single = read_activations(model, READINGS, "block_out", [0, 1, 2, 3], pad=3, batch_size=1)
    assert len(passes) == 1 and torch.allclose(whole, single, atol=1e-4)


def test_the_last_block_is_read_before_the_final_norm(family_model):
    model = family_model("llama")
    with torch.inference_mode():
        behind = model(torch.tensor([READINGS[0].ids]), output_hidden_states=True).hidden_states[-1][0, -1]
        found = read_activations(model, READINGS[:1], "block_out", [3], pad=3)[0, 0]
        assert torch.allclose(model.model.norm(found), behind, atol=1e-4)
    assert not torch.allclose(found, behind, atol=0.1)


@pytest.mark.parametrize("family", FAMILIES)
def test_inputs_of_blocks_and_of_output_projections_are_read(family_model, family):
    model = family_model(family)
    into = read_activations(model, READINGS, "block_in", [1, 2], pad=3)
    assert torch.equal(into, read_activations(model, READINGS, "block_out", [0, 1], pad=3))
    assert read_activations(model, READINGS, "o_proj_in", [1], pad=3).isfinite().all()


def test_what_is_steered_shows_in_later_layers_and_a_model_in_training_stays_so(family_model, steer):
    model = family_model("gpt2").train()
    plain = read_activations(model, READINGS[:1], "block_out", [0, 2], pad=3)
    assert model.training
    model.eval()
    with steered(model, [steer([1], 2.0)], torch.ones(1, 7)):
        found = read_activations(model, READINGS[:1], "block_out", [0, 2], pad=3)
    assert torch.equal(found[:, 0], plain[:, 0]) and not torch.allclose(found[:, 1], plain[:, 1])


def test_norms_are_medians_over_the_positions_that_are_steered(family_model, tokenizer):
    model = family_model("llama")
    reading = steered_positions(tokenizer, PROMPT, " He has 42.")
    begin = len(tokenizer(PROMPT)["input_ids"]) - 1
    assert reading.positions == tuple(range(begin, len(reading.ids)))
    single = [Reading(reading.ids, (place,)) for place in reading.positions]
    norms = read_activations(model, single, "block_out", [2], pad=3).norm(dim=-1)
    assert median_norms(model, [reading], "block_out", [2], pad=3) == pytest.approx(
        [float(norms.median())], rel=1e-4
    )


@pytest.mark.parametrize(
    ("completion", "where", "expected"),
    [
        ("It is 5 = 5.<end_working_out><SOLUTION>42</SOLUTION>", "pre_answer", "<SOLUTION>"),
        ("It is.<end_working_out><SOLUTION>$1,200</SOLUTION>", "pre_answer", "$"),
        ("So 6 * 7 = 42. The answer is 42.", "pre_answer", "is"),
        ("<SOLUTION>12 + 30 = 42</SOLUTION>", "pre_answer", "12 + 30 ="),
        ("It is 5 = 5.<end_working_out><SOLUTION>42</SOLUTION>", "answer_last", "</SOLUTION>"),
        ("It is 5 = 5.<end_working_out><SOLUTION>42</SOLUTION>", "prompt_last", PROMPT),
    ],
)
def test_positions_are_where_they_are_called(tokenizer, completion, where, expected):
    reading = locate(tokenizer, PROMPT, completion, SPEC, where)
    [position] = reading.positions
    assert tokenizer.decode(reading.ids[: position + 1]).strip().endswith(expected)
    before = tokenizer(PROMPT)["input_ids"]
    assert list(reading.ids[: len(before)]) == before


def test_the_mean_over_the_working_out_ends_before_the_answer(tokenizer):
    reading = locate(tokenizer, PROMPT, "It is 5.<SOLUTION>42</SOLUTION>", SPEC, "cot_mean")
    read = tokenizer.decode([reading.ids[place] for place in reading.positions])
    assert read == "It is 5.<SOLUTION>"


@pytest.mark.parametrize("where", ["pre_answer", "cot_mean"])
@pytest.mark.parametrize("completion", ["I do not know.", ""])
def test_what_has_no_answer_has_no_place_before_it(tokenizer, completion, where):
    assert locate(tokenizer, PROMPT, completion, SPEC, where) is None


def test_a_layer_that_is_not_there_is_told(family_model):
    with pytest.raises(RecipeError, match="there is no layer 9"):
        read_activations(family_model("llama"), READINGS, "block_out", [9], pad=3)
