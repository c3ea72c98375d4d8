import json
from pathlib import Path

import pytest
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer

from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.tasks.example import Example
from engines.training.rows import IGNORED, read_traces, tokenize_rows

SPEC = PromptSpec()
EXAMPLES = [
    Example("a", "Tom has 12 apples and buys 30 more. How many?", "12 + 30 = 42", "42"),
    Example("b", "How many eggs are in 5 boxes of 6?", "5 * 6 = 30.\nSo 30.", "30"),
]


@pytest.fixture
def tokenizer(tiny_model):
    return AutoTokenizer.from_pretrained(tiny_model)


def test_rows_are_those_that_trl_builds_from_the_same_conversations(tokenizer, tiny_model, tmp_path):
    from trl import SFTConfig, SFTTrainer

    conversations = [
        {
            "prompt": SPEC.messages(example.question),
            "completion": [
                {"role": "assistant", "content": SPEC.completion(example.reasoning, example.answer)}
            ],
        }
        for example in EXAMPLES
    ]
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_model),
        args=SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none"),
        train_dataset=Dataset.from_list(conversations),
        processing_class=tokenizer,
    )
    ours = tokenize_rows(tokenizer, SPEC, EXAMPLES)
    assert [row.input_ids for row in ours] == list(trainer.train_dataset["input_ids"])
    assert [row.labels for row in ours] == list(trainer.train_dataset["labels"])


def test_the_loss_is_on_the_completion_with_its_end_token(tokenizer):
    for row, example in zip(tokenize_rows(tokenizer, SPEC, EXAMPLES), EXAMPLES, strict=True):
        trained = [label for label in row.labels if label != IGNORED]
        completion = SPEC.completion(example.reasoning, example.answer)
        assert tokenizer.decode(trained) == completion + "<|im_end|>\n"
        assert len(row.input_ids) == len(row.labels) == row.prompt_length + len(trained)


def test_tokens_that_merge_across_the_prompt_are_refused(tokenizer):
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    example = Example("merge", "how m", "any", "1")
    with pytest.raises(RecipeError, match="merge: tokens merge"):
        tokenize_rows(tokenizer, PromptSpec(system="", reasoning_start="any"), [example])


def test_a_template_that_writes_bos_twice_is_refused(tokenizer):
    tokenizer.bos_token = "<|endoftext|>"
    tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template.replace(
        "<|im_start|>", "{{ bos_token }}"
    )
    with pytest.raises(RecipeError, match="more than one beginning-of-sequence"):
        tokenize_rows(tokenizer, SPEC, EXAMPLES)


def test_a_token_that_is_both_bos_and_eos_may_end_every_turn(tokenizer):
    """As in GPT-2 and Pythia, whose ChatML ends the turns with it."""
    tokenizer.bos_token = tokenizer.eos_token
    for row in tokenize_rows(tokenizer, SPEC, EXAMPLES):
        assert row.input_ids.count(tokenizer.bos_token_id) == 3


def traces(path, *lines):
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_traces_are_read_with_their_reasoning_and_normalised_answer(tmp_path):
    file = traces(
        tmp_path / "t.jsonl", {"question": "Q", "answer": "a #### b <<6*7=42>>42\n\n#### 1,042"}, ""
    )
    assert read_traces(file, []) == [Example("trace-1", "Q", "a #### b 42", "1042")]


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '"text"',
        '{"question": "Q"}',
        '{"question": "Q", "answer": 4}',
        '{"question": 4, "answer": "#### 4"}',
        '{"question": "Q", "answer": "4"}',
        '{"question": "Q", "answer": "#### four"}',
    ],
)
def test_a_broken_trace_is_an_error_with_its_line(tmp_path, line):
    file = traces(tmp_path / "t.jsonl", {"question": "Q", "answer": "a\n\n#### 1"}, line)
    with pytest.raises(RecipeError, match=r"t\.jsonl:2: .*\nhint: "):
        read_traces(file, [])


def test_traces_of_held_out_questions_are_refused(tmp_path):
    file = traces(
        tmp_path / "t.jsonl", {"question": "how many  EGGS are in 5 boxes of 6?", "answer": "#### 30"}
    )
    with pytest.raises(RecipeError, match="must not be trained on"):
        read_traces(file, EXAMPLES)


def test_no_traces_at_all_are_an_error(tmp_path):
    with pytest.raises(RecipeError, match="is empty"):
        read_traces(traces(tmp_path / "t.jsonl"), [])
    with pytest.raises(RecipeError, match="there is no file"):
        read_traces(tmp_path / "absent.jsonl", [])


def test_traces_may_hold_line_separators_of_other_alphabets(tmp_path):
    file = tmp_path / "t.jsonl"
    line = {"question": "Q\u2028R\x85", "answer": "one\u2029two\n\n#### 1"}
    file.write_text(json.dumps(line, ensure_ascii=False) + "\n")
    [example] = read_traces(file, [])
    assert (example.question, example.reasoning) == ("Q\u2028R", "one\u2029two")


REPLIES = Path(__file__).parents[1] / "tasks" / "teacher_replies.jsonl"


def test_a_teachers_replies_are_read_by_their_keys_and_those_left_out_are_told_with_the_reason():
    told = []
    examples = read_traces(REPLIES, [], told.append)
    assert [(example.id, example.answer) for example in examples] == [
        ("trace-1", "19"),
        ("trace-2", "3750"),
        ("trace-3", "3.5"),
    ]
    assert examples[1].reasoning == "One bike costs $1,250.\n\nThree cost 3 * 1250 = 3750 dollars."
    [text] = told
    assert text.startswith("traces: 4 of 7 replies are not trained on: 1 ") and "1 wrong" in text


def test_a_teachers_reply_to_a_held_out_question_is_refused_even_where_it_is_wrong():
    held_out = [Example("dev", "tom reads 12 PAGES a day for 5 days. how many pages?", "", "60")]
    with pytest.raises(RecipeError, match=r"jsonl:4: .*must not be trained on"):
        read_traces(REPLIES, held_out)


def test_replies_that_are_all_wrong_or_broken_are_errors(tmp_path):
    wrong = {"question": "Q", "ground_truth": "4", "deepseek_response": "\\boxed{5}"}
    with pytest.raises(RecipeError, match=r"no reply that can be trained on \(1 wrong\)"):
        read_traces(traces(tmp_path / "t.jsonl", wrong), [])
    for broken in (
        {**wrong, "ground_truth": "four"},
        {**wrong, "deepseek_response": None},
        {**wrong, "question": 4},
    ):
        with pytest.raises(RecipeError, match=r"t\.jsonl:1: .*\nhint: .*deepseek_response"):
            read_traces(traces(tmp_path / "t.jsonl", broken), [])
