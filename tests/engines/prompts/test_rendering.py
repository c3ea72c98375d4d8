import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from engines.prompts.rendering import conversation, render_prompt, render_row, resolve_prefill, token_ids
from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.tasks.example import Example

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<turn>{{ m['role'] }}\n{{ m['content'] | trim }}</turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<turn>assistant\n{% endif %}"
)
DROPS_SYSTEM = CHATML.replace("{% for m in messages %}", "{% for m in messages if m['role'] != 'system' %}")
PREFILLED = CHATML.replace("assistant\n{% endif %}", "assistant\n<start_working_out>{% endif %}")
THINKING = CHATML.replace(
    "\n{{ m['content'] }}", "\n{{ '<think></think>' if m['role'] == 'assistant' }}{{ m['content'] }}"
)
BROKEN = CHATML.replace("<|im_start|>assistant\n", "Answer now:")

EXAMPLE = Example("t-0", "1+1?", "1+1=2", "2")


def tokenizer_with(template: str | None) -> PreTrainedTokenizerFast:
    words = Tokenizer(models.WordLevel({"<unk>": 0, "<bos>": 1}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    return PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<bos>", unk_token="<unk>", chat_template=template
    )


def test_the_prompt_ends_where_the_answer_begins() -> None:
    text = render_prompt(tokenizer_with(CHATML), PromptSpec(system="S"), "1+1?")
    assert (
        text == "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n1+1?<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("template", [GEMMA, DROPS_SYSTEM])
def test_a_template_that_refuses_or_drops_the_system_message_gets_it_in_the_user_turn(template: str) -> None:
    messages = conversation(tokenizer_with(template), PromptSpec(system="Be brief."), "1+1?")
    assert messages == [{"role": "user", "content": "Be brief.\n\n1+1?"}]


def test_a_template_that_writes_todays_date_gives_the_same_prompt_every_day() -> None:
    dated = tokenizer_with("{{ 'Today: ' + strftime_now('%d %b %Y') + '\n' }}" + CHATML)
    assert render_prompt(dated, PromptSpec(), "1+1?").startswith("Today: 26 Jul 2024\n")


def test_prompt_and_completion_of_a_row_join_to_the_rendered_conversation() -> None:
    prompt, completion = render_row(tokenizer_with(CHATML), PromptSpec(), EXAMPLE)
    assert prompt == render_prompt(tokenizer_with(CHATML), PromptSpec(), EXAMPLE.question)
    assert completion == "<start_working_out>1+1=2<end_working_out><SOLUTION>2</SOLUTION><|im_end|>\n"


def test_a_prefill_in_the_generation_prompt_is_found_and_not_repeated_in_the_completion() -> None:
    tokenizer = tokenizer_with(PREFILLED)
    spec = resolve_prefill(tokenizer, PromptSpec())
    assert spec.prefill == "<start_working_out>"
    prompt, completion = render_row(tokenizer, spec, EXAMPLE)
    assert prompt.endswith("assistant\n<start_working_out>") and prompt.count("<start_working_out>") == 2
    assert completion.startswith("1+1=2<end_working_out>")


def test_a_prefill_that_the_recipe_asks_for_is_added_where_the_template_has_none() -> None:
    tokenizer = tokenizer_with(CHATML)
    spec = PromptSpec(prefill="<start_working_out>")
    assert render_prompt(tokenizer, spec, "?").endswith("assistant\n<start_working_out>")
    assert resolve_prefill(tokenizer, spec) == spec
    assert resolve_prefill(tokenizer, PromptSpec()).prefill == ""


def test_a_template_that_opens_the_finished_answer_itself_has_no_prefill() -> None:
    assert resolve_prefill(tokenizer_with(THINKING), PromptSpec()).prefill == ""


def test_a_template_whose_generation_prompt_is_another_text_is_refused() -> None:
    with pytest.raises(RecipeError, match="does not begin the assistant turn"):
        resolve_prefill(tokenizer_with(BROKEN), PromptSpec())
    with pytest.raises(RecipeError, match="another prompt"):
        render_row(tokenizer_with(BROKEN), PromptSpec(), EXAMPLE)


def test_a_tokenizer_without_a_template_is_refused_with_a_hint() -> None:
    with pytest.raises(RecipeError, match="no chat template") as caught:
        render_prompt(tokenizer_with(None), PromptSpec(), "?")
    assert "model.chat_template" in caught.value.hint


def test_rendered_text_gets_one_bos_at_most() -> None:
    tokenizer = tokenizer_with(GEMMA)
    ids = token_ids(tokenizer, render_prompt(tokenizer, PromptSpec(), "1+1?"))
    assert ids.count(tokenizer.bos_token_id) == 1
