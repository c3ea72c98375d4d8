"""Steps of all training answers of the real GSM8K, which stands beside the checkout on developers' machines."""

import re
import sys
from pathlib import Path

import pytest

from engines.jepa.boundaries import stepped_rows, token_spans
from engines.jepa.coverage import coverage, coverage_table
from engines.jepa.fields import StepsBlock
from engines.prompts.rendering import render_row
from engines.prompts.spec import PromptSpec
from engines.tasks import gsm8k

GSM8K = Path(__file__).parents[4] / "shared" / "data" / "gsm8k"
SPEC = PromptSpec()
HEADERS = {
    "llama3": r"<\|begin_of_text\|>|<\|start_header_id\|>.*?<\|end_header_id\|>|Today Date: 26 Jul 2024|<\|eot_id\|>",
    "qwen": r"<\|im_start\|>(?:system|user|assistant)\n|<\|im_end\|>",
    "gemma": r"<bos>|<start_of_turn>(?:user|model)\n|<end_of_turn>",
}

pytestmark = pytest.mark.skipif(not GSM8K.is_dir(), reason="the GSM8K files are not here")


@pytest.fixture(scope="module")
def answers():
    return gsm8k.read(str(GSM8K), "train")


def test_every_answer_has_its_lines_as_steps_and_no_step_touches_a_header(
    family, make_tokenizer, answers, capsys
):
    texts = [SPEC.completion(answer.reasoning, answer.answer) for answer in answers]
    tokenizer = make_tokenizer(family, [*texts[:1500], *(answer.question for answer in answers[:500])], 8000)
    rows = stepped_rows(tokenizer, SPEC, answers, StepsBlock())
    found = coverage(rows, max_length=1024)
    with capsys.disabled():
        sys.stdout.write(f"\n{family}\n{coverage_table(found)}\n")
    assert found.examples == 7473 and found.too_long == 0
    lines = [[line for line in answer.reasoning.split("\n") if line.strip()] for answer in answers]
    assert [len(row.steps) for row in rows] == [len(steps) for steps in lines]
    assert found.merged == 0 and found.pairs == sum(len(steps) - 1 for steps in lines)
    for row, answer, steps in list(zip(rows, answers, lines, strict=True))[::25]:
        text = "".join(render_row(tokenizer, SPEC, answer))
        spans = token_spans(tokenizer, text, row.input_ids)
        headers = [match.span() for match in re.finditer(HEADERS[family], text, re.DOTALL)]
        assert len(headers) >= 3
        for step, line in zip(row.steps, steps, strict=True):
            start, end = spans[step.start][0], spans[step.end - 1][1]
            assert line.strip() in text[start:end] and end - start <= len(line) + 3
            assert not any(start < header_end and header_start < end for header_start, header_end in headers)
            assert row.prompt_length <= step.start < step.content_end <= step.end
