import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from engines.recipe.errors import RecipeError
from engines.steer.directions import directions
from engines.steer.hooks import steered
from engines.steer.screening import force

FAMILIES = ("llama", "qwen2", "qwen3", "gemma2", "gpt2", "gptj", "falcon")
PROMPT, COMPLETION = "Tom has 12 apples and buys 30 more.", " He has 12 + 30 = 42 apples."


@pytest.mark.parametrize("family", FAMILIES)
def test_figures_are_those_of_whole_texts_read_one_by_one(family_model, tokenizer, steer, family):
    model = family_model(family)
    before, after = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in (PROMPT, COMPLETION))
    ids = torch.tensor([before + after])
    mask = torch.tensor([[1] * len(before) + [0] * len(after)])
    rows = [steer([1], 2.0), steer([0, 3], -2.0, 1), steer([2], 3.0, 2, where={"prompt": "all"})]
    for chosen in (rows[:2], rows):  # with the prompt shared, and not
        for row, found in zip(chosen, force(model, tokenizer, PROMPT, COMPLETION, chosen), strict=True):
            logs = []
            for steering in (None, row):
                with torch.inference_mode(), steered(model, [steering], mask):
                    logits = model(ids, attention_mask=torch.ones_like(ids)).logits
                logs.append(logits[0, len(before) - 1 : -1].log_softmax(-1))
            nll = [-float(log.gather(-1, torch.tensor(after)[:, None]).sum()) for log in logs]
            assert found.nll == pytest.approx(nll[1], rel=1e-4) and found.tokens == len(after)
            assert found.nll_change == pytest.approx(nll[1] - nll[0], abs=2e-3)
            kl = (logs[0].exp() * (logs[0] - logs[1])).sum(-1).mean()
            assert found.kl == pytest.approx(float(kl), abs=1e-4) and found.kl > 0
            assert found.first_token_changed == bool(logs[0][0].argmax() != logs[1][0].argmax())


@pytest.mark.parametrize("family", FAMILIES)
def test_strength_zero_changes_exactly_nothing(family_model, tokenizer, steer, family):
    rows = [steer([1], 0.0), steer([1], 2.0), None]
    zero, steered_row, none = force(family_model(family), tokenizer, PROMPT, COMPLETION, rows)
    assert zero == none and (zero.nll_change, zero.kl, zero.entropy_change) == (0.0, 0.0, 0.0)
    assert steered_row.nll_change != 0.0


def test_the_batch_size_changes_nothing_that_matters_and_the_prompt_is_read_once(
    family_model, tokenizer, steer
):
    model, widths = family_model("llama"), []
    rows = [steer([layer], alpha) for layer in range(4) for alpha in (-1.0, 1.0)]
    handle = model.register_forward_pre_hook(
        lambda _m, _a, kwargs: widths.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    whole = force(model, tokenizer, PROMPT, COMPLETION, rows)
    handle.remove()
    before, after = (len(tokenizer(text)["input_ids"]) for text in (PROMPT, COMPLETION))
    assert widths == [(1, before - 1), (9, after)]
    few = force(model, tokenizer, PROMPT, COMPLETION, rows, batch_size=4)
    assert [row.nll for row in few] == pytest.approx([row.nll for row in whole], rel=1e-5)


def test_the_heat_map_of_the_planted_model_peaks_where_the_truth_is(planted):
    model = AutoModelForCausalLM.from_pretrained(planted.model).eval()
    tokenizer = AutoTokenizer.from_pretrained(planted.model)
    raw = torch.zeros(planted.LAYERS, planted.SIZE)
    raw[:, planted.U] = 1.0
    along_u = directions("block_out", "truth", range(planted.LAYERS), raw, [96.0] * planted.LAYERS)
    cells = [(layer, push) for layer in range(planted.LAYERS) for push in (-4.5, 4.5, 14.0)]
    rows = [along_u.steering([layer], push / 96.0) for layer, push in cells]
    questions = [("n0 red two", "2"), ("n4 blue nine", "9"), ("n7 red six", "6")]
    change = dict.fromkeys(cells, 0.0)
    for question, answer in questions:
        for cell, found in zip(
            cells, force(model, tokenizer, f"ask {question} =", answer, rows), strict=True
        ):
            change[cell] += found.nll_change
    best = (planted.LAYER, 4.5)
    assert min(change, key=change.__getitem__) == best and change[best] < -2.5
    assert all(abs(value) < 0.2 for cell, value in change.items() if cell != best)


def test_an_empty_text_is_told(family_model, tokenizer, steer):
    with pytest.raises(RecipeError, match="an empty prompt or completion"):
        force(family_model("llama"), tokenizer, PROMPT, "", [steer([1], 1.0)])
