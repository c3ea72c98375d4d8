import math
from types import SimpleNamespace

import pytest
import torch

from engines.recipe.errors import RecipeError
from engines.steer.hooks import steered
from engines.steer.plain_texts import OPENING, TEXTS, plain_texts
from engines.steer.side_effects import check_plain_texts, side_effects

TEXT = "Tom has 12 apples and buys 30 more of them, then he goes home and eats 5 of the apples."


def item(correct, tokens, **fields):
    plain = {"terminated": True, "repeats": False, "extracted": "1"}
    return {**plain, "correct": correct, "tokens": tokens, **fields}


@pytest.fixture
def subject(family_model, tokenizer, make_run):
    return SimpleNamespace(
        model=family_model("llama"), tokenizer=tokenizer, run=make_run(), asked={"model": "llama"}
    )


def final_of(**items):
    return SimpleNamespace(items=items)


def expected(subject, row, text):
    """Loss of the text behind its first words, in one pass over it, and how many tokens that is."""
    words = text.split()
    before, after = (
        subject.tokenizer(part, add_special_tokens=False)["input_ids"]
        for part in (" ".join(words[:OPENING]), " " + " ".join(words[OPENING:]))
    )
    ids = torch.tensor([before + after])
    mask = torch.tensor([[1] * len(before) + [0] * len(after)])
    with torch.inference_mode(), steered(subject.model, [row], mask):
        logits = subject.model(ids, attention_mask=torch.ones_like(ids)).logits[0, len(before) - 1 : -1]
    return -float(logits.log_softmax(-1).gather(-1, torch.tensor(after)[:, None]).sum()), len(after)


def test_perplexity_is_that_of_a_pass_over_the_whole_text(subject, steer):
    row, texts = steer([1], 3.0), [TEXT, TEXTS[0]]
    tried = {"winner": row, "control": None, "dynamic": steer([1], 1.0, schedule={"kind": "dac"})}
    items = [item(True, 3), item(False, 9, extracted=None, terminated=False), item(False, 5)]
    final = final_of(baseline=items[:1], winner=items, control=items[:1], dynamic=items)
    found = side_effects(subject, final, tried, texts)
    for name, steering in (("baseline", None), ("winner", row), ("control", None)):
        losses = [expected(subject, steering, text) for text in texts]
        nats = sum(loss for loss, _ in losses) / sum(tokens for _, tokens in losses)
        assert found[name]["perplexity"] == pytest.approx(math.exp(nats), rel=1e-3)
    assert found["baseline"]["nats_change"] == found["control"]["nats_change"] == 0
    assert found["winner"]["low"] <= found["winner"]["nats_change"] <= found["winner"]["high"] != 0
    assert found["dynamic"]["perplexity"] is None
    shares = {"truncated": 1 / 3, "repeats": 0, "unanswered": 1 / 3, "median_tokens": 5.0}
    assert {name: found["winner"][name] for name in shares} == pytest.approx(shares)


def test_a_text_beyond_the_context_is_refused_before_a_search(subject):
    with pytest.raises(RecipeError, match="exceeds the model's context of"):
        check_plain_texts(subject, [" ".join([TEXT] * 200)])
    check_plain_texts(subject, TEXTS)


def test_a_file_s_texts_stand_between_blank_lines(tmp_path):
    path = tmp_path / "plain.txt"
    path.write_text(f"{TEXTS[0]}\n\ntoo short\n\n\n{TEXT[:40]}\n{TEXT[40:]}\n")
    assert plain_texts(str(path)) == [TEXTS[0], f"{TEXT[:40]} {TEXT[40:]}".replace("  ", " ")]
    assert plain_texts(None) == list(TEXTS)
    for written in ("", TEXT, "a b c\n\nd e f"):
        path.write_text(written)
        with pytest.raises(RecipeError, match="texts of more than"):
            plain_texts(str(path))
    with pytest.raises(RecipeError, match="cannot be read"):
        plain_texts(str(tmp_path / "nowhere.txt"))
