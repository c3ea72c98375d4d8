import pytest
import torch

from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.steer.activations import locate, median_norms, read_activations, steered_positions
from engines.steer.extraction import extract, find_directions
from engines.steer.pairs import Side
from engines.steer.sites import find_decoder

SIDES = [
    Side(f"q{number}", f"Tom has {number} apples.", f"He has {answer}.<SOLUTION>{answer}</SOLUTION>", label)
    for number in range(6)
    for answer, label in ((number + 3, True), (number + 4, False))
]
GIVEN = {"site": "block_out", "identity": {"weights": "w"}, "data_hash": "d", "pairs": {"scheme": "P0"}}


def test_the_second_time_nothing_is_read(family_model, tokenizer, tmp_path):
    model, passes = family_model("llama"), []
    run = lambda **other: extract(  # noqa: E731
        model, tokenizer, PromptSpec(), SIDES, directory=tmp_path, **{**GIVEN, "read": "pre_answer", **other}
    )
    first = run()
    handle = find_decoder(model).body.register_forward_pre_hook(lambda _m, _a: passes.append(1))
    again = run()
    assert not passes and torch.equal(first.values, again.values) and first.norm_ref == again.norm_ref
    assert run(read="answer_last").values.shape == first.values.shape == (12, 4, 32) and passes
    handle.remove()


def test_strength_is_counted_in_norms_of_what_will_be_steered(family_model, tokenizer, tmp_path):
    model = family_model("gpt2")
    found = extract(
        model, tokenizer, PromptSpec(), SIDES, directory=tmp_path, **GIVEN, read="answer_last", layers=[1, 3]
    )
    steered = [steered_positions(tokenizer, side.prompt, side.completion) for side in SIDES]
    assert found.norm_ref == pytest.approx(median_norms(model, steered, "block_out", [1, 3], pad=3), rel=1e-4)
    spec = find_directions(found, "block_out", "pca").steering([3], 0.2).spec
    assert spec.norm_ref == {3: found.norm_ref[1]} and spec.method == "pca"


def test_texts_without_the_position_are_left_out_and_none_at_all_is_told(family_model, tokenizer, tmp_path):
    model = family_model("gpt2")
    sides = [*SIDES, Side("q9", "Tom?", "no number", False)]
    found = extract(model, tokenizer, PromptSpec(), sides, directory=tmp_path, **GIVEN, read="pre_answer")
    assert "q9" not in found.questions and len(found.questions) == 12
    with pytest.raises(RecipeError, match="none of 1 texts has the position `pre_answer`"):
        extract(model, tokenizer, PromptSpec(), sides[-1:], directory=tmp_path, **GIVEN, read="pre_answer")


@pytest.mark.parametrize("read", ["answer_last", "cot_mean", "prompt_last"])
def test_texts_are_read_once_for_activations_and_norms_with_the_bits_of_reading_them_twice(
    family_model, tokenizer, tmp_path, read
):
    model, passes = family_model("llama"), []
    handle = find_decoder(model).body.register_forward_pre_hook(lambda _m, _a: passes.append(1))
    found = extract(
        model, tokenizer, PromptSpec(), SIDES, directory=tmp_path, **GIVEN, read=read, batch_size=4
    )
    handle.remove()
    # Prompts alone are other texts than those whose tokens are steered, so both are read.
    assert len(passes) == (6 if read == "prompt_last" else 3)
    located = [locate(tokenizer, side.prompt, side.completion, PromptSpec(), read) for side in SIDES]
    steered = [steered_positions(tokenizer, side.prompt, side.completion) for side in SIDES]
    options = {"site": "block_out", "layers": range(4), "pad": tokenizer.pad_token_id, "batch_size": 4}
    assert torch.equal(found.values, read_activations(model, located, **options))
    assert list(found.norm_ref) == median_norms(model, steered, **options)
