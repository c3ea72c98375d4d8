import torch

from engines.jepa.collate import collate
from engines.jepa.layout import NO_PREDICTOR
from engines.jepa.model import read
from engines.jepa.proof import prove_mask
from engines.jepa.views import Views, text_and_code, tube, views_of
from engines.prompts.spec import PromptSpec


def test_views_end_with_the_content_and_hold_no_system_prompt(tokenizer, examples):
    spec = PromptSpec()
    views = views_of(tokenizer, spec, examples)
    for example in examples:
        text, code = (tokenizer.decode(ids) for ids in (views[example.id].text, views[example.id].code))
        assert text.endswith(example.question) and code.endswith(
            spec.completion(example.reasoning, example.answer)
        )
        assert "working out" not in text


def test_question_and_solution_are_sequences_of_their_own(make_model, stepped_rows_by_hand):
    rows = [
        text_and_code(row, Views(row.input_ids[:4], row.input_ids[6:11]), predictors=3)
        for row in stepped_rows_by_hand
    ]
    row, count = rows[0], len(stepped_rows_by_hand[0].input_ids)
    assert [segment.kind for segment in row.segments] == ["original", "text", "code"]
    assert row.position_ids[count:] == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4]
    assert row.predictors[count : count + 7] == [NO_PREDICTOR] * 4 + [0, 1, 2]
    [pair] = row.pairs
    assert pair.source == count + 6 and (pair.target.start, pair.target.end) == (count + 11, count + 12)
    assert prove_mask(make_model("llama", predictors=3), rows, pad_token=0).leak == 0


def test_a_tube_is_the_papers_formula_on_three_tokens_of_the_solution(make_model, stepped_rows_by_hand):
    row = stepped_rows_by_hand[0]
    packed = tube(row, "seed/row/0")
    assert packed == tube(row, "seed/row/0") and packed.pairs != tube(row, "seed/row/1").pairs
    [pair] = packed.pairs
    s, r, t = pair.origin, pair.source, pair.target.start
    assert row.prompt_length <= s < r < t < len(row.input_ids) - 1
    batch = collate([packed], pad_token=0, padding_side="left", multiple_of=64)
    assert not batch.packed
    model = make_model("qwen3", predictors=0)
    with torch.no_grad():
        states = model.encode(batch)
        prediction, target = read(states, batch.pairs)
    own = states[0, -len(row.input_ids) :]
    assert torch.equal(prediction[0], own[r] - own[s]) and torch.equal(target[0], own[t] - own[r])


def test_a_solution_of_two_tokens_has_no_tube(stepped_rows_by_hand):
    from engines.jepa.rows import SteppedRow

    assert not tube(SteppedRow("short", [5, 6, 7, 8], [-100, 6, 7, 8]), "seed").pairs
