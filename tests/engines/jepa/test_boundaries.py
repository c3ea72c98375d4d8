from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from engines.jepa.boundaries import stepped_rows, token_spans
from engines.jepa.fields import StepsBlock
from engines.jepa.layout import pack
from engines.jepa.rows import Step
from engines.prompts.rendering import resolve_prefill
from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.tasks.example import Example
from engines.training.rows import read_traces, tokenize_rows

GOLDEN = Path(__file__).parent / "golden"
REPLIES = Path(__file__).parents[1] / "tasks" / "teacher_replies.jsonl"
SPEC = PromptSpec()
BLANK_LINE = StepsBlock(splitter="blank_line")


def described(tokenizer, rows):
    """The steps of the rows, token by token, as the golden files have them."""
    lines = []
    for row in rows:
        lines.append(
            f"{row.id}: {row.merged} merged, {row.merged_separators} separators, {row.merged_edges} edges"
        )
        for step in row.steps:
            tokens = tokenizer.convert_ids_to_tokens(row.input_ids[step.start : step.end])
            own = step.content_end - step.start
            lines.append(
                f"  [{step.start}, {step.content_end}, {step.end}) {' '.join(map(ascii, tokens[:own]))} | "
                f"{' '.join(map(ascii, tokens[own:]))}".rstrip()
            )
    return "\n".join(lines) + "\n"


def test_the_steps_of_each_family_are_those_of_the_golden_file(family, tokenizer, examples):
    rows = stepped_rows(tokenizer, SPEC, examples, BLANK_LINE)
    assert described(tokenizer, rows) == (GOLDEN / f"steps_{family}.txt").read_text()


def test_rows_are_exactly_those_of_ordinary_fine_tuning(tokenizer, examples):
    plain = tokenize_rows(tokenizer, SPEC, examples)
    for row, other in zip(stepped_rows(tokenizer, SPEC, examples, BLANK_LINE), plain, strict=True):
        assert (row.id, row.input_ids, row.labels) == (other.id, other.input_ids, other.labels)


def test_a_full_stop_and_the_blank_line_behind_it_are_one_token_of_the_step(make_tokenizer, examples):
    tokenizer = make_tokenizer("qwen", [f"{e.question}\n\n{e.reasoning}" for e in examples] * 8, 500)
    assert len(tokenizer(".\n\n")["input_ids"]) == 1
    [row] = stepped_rows(tokenizer, SPEC, examples[:1], BLANK_LINE)
    first, second, third = row.steps
    assert tokenizer.decode(row.input_ids[first.end - 1 : second.start + 1]) == ".\n\nShe"
    assert first.content_end == first.end == second.start and second.end == third.start
    assert row.merged_separators == 2 and row.merged == 0


def test_all_steps_are_in_the_completion_and_hold_their_text(tokenizer, examples):
    for row, example in zip(stepped_rows(tokenizer, SPEC, examples, BLANK_LINE), examples, strict=True):
        texts = example.reasoning.split("\n\n")
        assert len(row.steps) == len(texts)
        for step, text in zip(row.steps, texts, strict=True):
            assert row.prompt_length <= step.start < step.content_end <= step.end <= len(row.input_ids)
            assert text in tokenizer.decode(row.input_ids[step.start : step.end])
        answer = tokenizer.decode(row.input_ids[row.steps[-1].end :])
        assert "end_working_out>" in answer and f"<SOLUTION>{example.answer}</SOLUTION>" in answer


def test_the_solution_in_the_question_too_is_not_taken_for_the_answer(tokenizer, examples):
    completion = SPEC.completion(examples[0].reasoning, "19")
    twice = Example("twice", f"Is this right? {completion}", examples[0].reasoning, "19")
    [row] = stepped_rows(tokenizer, SPEC, [twice], BLANK_LINE)
    assert len(row.steps) == 3 and row.steps[0].start >= row.prompt_length


def test_a_prefill_that_opens_the_working_out_belongs_to_the_prompt(tokenizer, examples):
    spec = resolve_prefill(tokenizer, PromptSpec(prefill=SPEC.reasoning_start))
    [row] = stepped_rows(tokenizer, spec, examples[2:], StepsBlock())
    assert row.steps[0].start == row.prompt_length
    assert tokenizer.decode(row.input_ids[: row.prompt_length]).endswith(SPEC.reasoning_start)


def test_a_teachers_replies_have_the_steps_that_it_wrote(tokenizer):
    examples = read_traces(REPLIES, [])
    rows = stepped_rows(tokenizer, SPEC, examples, BLANK_LINE)
    assert [len(row.steps) for row in rows] == [2, 2, 2]
    for row, example in zip(rows, examples, strict=True):
        for step, text in zip(row.steps, example.reasoning.split("\n\n"), strict=True):
            assert text in tokenizer.decode(row.input_ids[step.start : step.end])


def test_a_completion_of_the_models_own_has_its_steps_between_its_tags(tokenizer):
    own = "Well: <start_working_out>One.\n\nTwo.<end_working_out>\n\n<SOLUTION>2</SOLUTION>"
    tagless = Example("b", "Q", "", "2", completion="The answer is 2.\n\nReally.")
    rows = stepped_rows(tokenizer, SPEC, [Example("a", "Q", "", "2", completion=own), tagless], BLANK_LINE)
    assert [len(row.steps) for row in rows] == [2, 0]
    assert "One." in tokenizer.decode(rows[0].input_ids[rows[0].steps[0].start : rows[0].steps[0].end])


def test_a_template_that_rewrites_the_answer_is_refused(tokenizer, examples):
    template = tokenizer.chat_template
    tokenizer.chat_template = template.replace(
        "message['content'] | trim", "message['content'] | upper"
    ).replace("message['content'] +", "message['content'] | upper +")
    try:
        with pytest.raises(RecipeError, match="does not write the answer as it is"):
            stepped_rows(tokenizer, PromptSpec(system=""), examples, BLANK_LINE)
    finally:
        tokenizer.chat_template = template


def words(*vocabulary):
    """A tokenizer that knows these and every single character, and takes the longest there is."""
    merges, known = [], {"<eos>": 0}
    for character in sorted({c for word in vocabulary for c in word} | set(map(chr, range(10, 127)))):
        known[character] = len(known)
    for word in vocabulary:
        for end in range(2, len(word) + 1):
            if word[:end] not in known:
                known[word[:end]] = len(known)
                merges.append((word[: end - 1], word[end - 1]))
    bpe = Tokenizer(models.BPE(known, merges))
    bpe.pre_tokenizer = pre_tokenizers.Split("<eos>", "isolated")
    template = (
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}<eos>{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<eos>", chat_template=template)


def test_a_token_over_the_end_of_a_step_is_never_cut_but_counted_and_left_to_the_earlier_step():
    tokenizer = words("\n1", "\n\n")
    spec = PromptSpec(system="")
    [row] = stepped_rows(tokenizer, spec, [Example("a", "Q", "ab\n1+1\ncd", "2")], StepsBlock())
    tokens = [tokenizer.convert_ids_to_tokens(row.input_ids[step.start : step.end]) for step in row.steps]
    assert tokens == [["a", "b", "\n1"], ["+", "1", "\n"], ["c", "d"]]
    assert (row.merged, row.merged_separators, row.merged_edges) == (1, 0, 0)


def test_a_step_that_is_swallowed_by_the_token_before_it_is_left_out():
    tokenizer = words("b\n1\n")
    spec = PromptSpec(system="")
    [row] = stepped_rows(tokenizer, spec, [Example("a", "Q", "ab\n1\ncd", "2")], StepsBlock())
    assert len(row.steps) == 2 and row.merged == 1


def test_a_step_of_which_only_the_separator_is_left_is_left_out():
    """There would be no token to read it at, and `last_content` would read what stands before it."""
    tokenizer = words("\n1")
    spec = PromptSpec(system="")
    [row] = stepped_rows(tokenizer, spec, [Example("a", "Q", "ab\n1\ncd", "2")], StepsBlock())
    tokens = [tokenizer.convert_ids_to_tokens(row.input_ids[step.start : step.end]) for step in row.steps]
    assert tokens == [["a", "b", "\n1"], ["c", "d"]] and row.merged == 1
    assert all(step.start < step.content_end for step in row.steps)


def test_offsets_tile_the_text_whatever_blanks_and_bytes_the_tokenizer_leaves_out(tokenizer):
    text = "Snow  ☃ falls\n\n 3.5 cm é "
    spans = token_spans(tokenizer, text, tokenizer(text, add_special_tokens=False)["input_ids"])
    covered = 0
    for start, end in spans:
        assert start <= covered
        covered = max(covered, end)
    assert covered == len(text) and spans == sorted(spans)


def test_a_tokenizer_without_offsets_is_refused(examples):
    class Slow:
        is_fast = False

    with pytest.raises(RecipeError, match=r"Slow cannot say.*\nhint: "):
        stepped_rows(Slow(), SPEC, examples, BLANK_LINE)


def test_a_row_with_one_step_is_kept_and_predicts_nothing(tokenizer, examples):
    [row] = stepped_rows(tokenizer, SPEC, examples[2:], BLANK_LINE)
    assert len(row.steps) == 1 and isinstance(row.steps[0], Step)
    assert pack(row, predictors=2).pairs == ()
