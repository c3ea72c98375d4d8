import pytest
from transformers import AutoTokenizer

from engines.modeling.tokens import end_token_ids, set_chat_template, use_distinct_pad, use_end_of_turn_as_eos
from engines.recipe.errors import RecipeError


@pytest.fixture
def tokenizer(tiny_model):
    return AutoTokenizer.from_pretrained(tiny_model)


CONVERSATION = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "42"}]


def test_a_base_model_without_a_template_gets_chatml(tokenizer):
    tokenizer.chat_template = None
    set_chat_template(tokenizer, None)
    text = tokenizer.apply_chat_template(CONVERSATION, tokenize=False)
    prompt = tokenizer.apply_chat_template(CONVERSATION[:1], tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n42<|im_end|>"
    assert text.startswith(prompt)


def test_chatml_ends_turns_with_eos_where_the_vocabulary_lacks_its_end_token(tokenizer):
    tokenizer.chat_template = None
    vocabulary = {name: index for name, index in tokenizer.get_vocab().items() if name != "<|im_end|>"}
    tokenizer.get_vocab = lambda: vocabulary
    tokenizer.eos_token = "<|endoftext|>"
    set_chat_template(tokenizer, None)
    assert tokenizer.apply_chat_template(CONVERSATION, tokenize=False).endswith("42<|endoftext|>")


def test_a_template_file_replaces_the_tokenizers_own(tokenizer, tmp_path):
    file = tmp_path / "mine.jinja"
    file.write_text("{{ messages[0]['content'] }}!")
    set_chat_template(tokenizer, str(file))
    assert tokenizer.apply_chat_template(CONVERSATION, tokenize=False) == "Hi!"


def test_plain_puts_the_turns_as_they_are_and_ends_answers(tokenizer):
    set_chat_template(tokenizer, "plain")
    prompt = tokenizer.apply_chat_template(CONVERSATION[:1], tokenize=False, add_generation_prompt=True)
    assert prompt == "Hi"
    assert tokenizer.apply_chat_template(CONVERSATION, tokenize=False) == f"Hi42{tokenizer.eos_token}"


def test_a_missing_template_file_is_an_error_with_a_hint(tokenizer):
    with pytest.raises(RecipeError, match="there is no file `absent`"):
        set_chat_template(tokenizer, "absent")


def test_the_token_that_ends_a_turn_becomes_eos(tokenizer):
    tokenizer.eos_token = "<|endoftext|>"
    use_end_of_turn_as_eos(tokenizer)
    assert tokenizer.eos_token == "<|im_end|>"


def test_a_pad_token_that_is_also_an_end_token_is_replaced(tokenizer):
    tokenizer.pad_token = tokenizer.eos_token
    use_distinct_pad(tokenizer, end_token_ids(tokenizer))
    assert tokenizer.pad_token == "<|pad|>"


def test_a_good_pad_token_is_kept(tokenizer):
    tokenizer.pad_token = "<|im_start|>"
    use_distinct_pad(tokenizer, end_token_ids(tokenizer))
    assert tokenizer.pad_token == "<|im_start|>"


def test_the_byte_zero_pads_where_a_vocabulary_has_nothing_better(tokenizer):
    every_name = frozenset(tokenizer.all_special_ids)
    tokenizer.pad_token = None
    use_distinct_pad(tokenizer, every_name)
    assert tokenizer.pad_token_id not in every_name and tokenizer.decode([tokenizer.pad_token_id]) == "\x00"


def test_a_template_that_does_not_show_the_answer_changes_no_token(tokenizer):
    tokenizer.chat_template = "{{ messages[0]['content'] }}<|im_start|>"
    use_end_of_turn_as_eos(tokenizer)
    assert tokenizer.eos_token == "<|im_end|>"


def test_without_any_token_to_pad_with_there_is_an_error(tokenizer):
    tokenizer.pad_token = None
    with pytest.raises(RecipeError, match="no token to pad with"):
        use_distinct_pad(tokenizer, frozenset(range(len(tokenizer))))
