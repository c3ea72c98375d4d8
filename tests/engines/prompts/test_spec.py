import pytest
from pydantic import ValidationError

from engines.prompts.spec import PromptSpec


def test_the_default_system_prompt_names_the_four_tags() -> None:
    system = PromptSpec().system
    assert system.startswith("You are given a problem.\nThink about the problem")
    assert "between <start_working_out> and <end_working_out>.\n" in system
    assert system.endswith("provide your solution between <SOLUTION></SOLUTION>")


def test_custom_tags_reach_the_system_prompt_and_the_stop_string() -> None:
    spec = PromptSpec(solution_start="<answer>", solution_end="</answer>")
    assert spec.system.endswith("<answer></answer>")
    assert spec.stop == ["</answer>"]


def test_a_custom_system_prompt_may_name_tags_by_placeholder() -> None:
    assert PromptSpec(system="Use {solution_start}. Keep {this}.").system == "Use <SOLUTION>. Keep {this}."


def test_messages_hold_the_question_verbatim_and_an_empty_system_prompt_is_left_out() -> None:
    spec = PromptSpec(system="", user_template="Q: {question}\nA:")
    assert spec.messages("Is {question} 5 {x}?") == [
        {"role": "user", "content": "Q: Is {question} 5 {x}?\nA:"}
    ]
    assert [message["role"] for message in PromptSpec().messages("?")] == ["system", "user"]


def test_a_completion_is_reasoning_and_answer_between_their_tags() -> None:
    expected = "<start_working_out>1+1=2<end_working_out><SOLUTION>2</SOLUTION>"
    assert PromptSpec().completion("1+1=2", "2") == expected


def test_the_hash_is_stable_and_sees_every_field() -> None:
    assert (
        PromptSpec().hash()
        == PromptSpec.model_validate(PromptSpec().model_dump()).hash()
        == "b5e5d77c837091ff"
    )
    changes = {
        "system": "",
        "user_template": "{question}!",
        "prefill": "x",
        "stop": ["x"],
        "reasoning_end": "<e>",
    }
    hashes = {PromptSpec.model_validate({name: value}).hash() for name, value in changes.items()}
    assert len(hashes | {PromptSpec().hash()}) == len(changes) + 1


@pytest.mark.parametrize(
    "block",
    [
        {"user_template": "no placeholder"},
        {"solution_end": "<SOLUTION>"},
        {"reasoning_start": " "},
        {"stop": [""]},
        {"tag": "x"},
    ],
)
def test_a_prompt_block_that_cannot_work_is_refused(block: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PromptSpec.model_validate(block)
