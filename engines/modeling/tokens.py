"""Special tokens: what ends an answer, what pads a batch, and the chat template of models that have none.

Nothing here adds a token to a vocabulary: new rows of an embedding would be random, and an adapter would not train them.
"""

from pathlib import Path
from typing import Any

from jinja2.exceptions import TemplateError

from engines.recipe.errors import RecipeError

_PAD_NAMES = (
    "<|pad|>",
    "<pad>",
    "[PAD]",
    "<|PAD_TOKEN|>",
    "<|finetune_right_pad_id|>",
    "<|vision_pad|>",
    "<|fim_pad|>",
    "<|reserved_special_token_0|>",
    "<unk>",
    "[UNK]",
    "<|unk|>",
    "<|padding|>",
    "<0x00>",
    "Ā",
)
"""Tokens that models ship and that never stand in an answer, the most fitting first; at last the byte 0, as
SentencePiece and byte-level vocabularies (GPT-2 has nothing better) spell it."""

_MARK = "0MARK0"
_PLAIN = (
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
)
"""For models that were trained on plain text: the recipe's `user_template` is all that stands before the answer."""


def end_token_ids(tokenizer: Any, model: Any = None) -> frozenset[int]:
    """Every token that ends an answer, as the tokenizer, the generation config and the model's config name them."""
    named = [tokenizer.eos_token_id]
    if model is not None:
        named.append(model.config.get_text_config().eos_token_id)
        named.append(getattr(model.generation_config, "eos_token_id", None))
    ids: set[int] = set()
    for value in named:
        ids.update(value if isinstance(value, list | tuple) else [] if value is None else [value])
    return frozenset(ids)


def set_chat_template(tokenizer: Any, replacement: str | None) -> None:
    """Use the template file of the recipe, or plain text, else the tokenizer's own, else ChatML."""
    if replacement == "plain":
        tokenizer.chat_template = _begin(tokenizer) + _PLAIN
    elif replacement is not None:
        path = Path(replacement).expanduser()
        if not path.is_file():
            raise RecipeError(
                f"model.chat_template: there is no file `{path}`",
                hint="give the path of a Jinja file, or leave `chat_template` out",
            )
        tokenizer.chat_template = path.read_text(encoding="utf-8")
    elif tokenizer.chat_template is None:
        tokenizer.chat_template = chatml(tokenizer)


def chatml(tokenizer: Any) -> str:
    """ChatML in which every turn ends with a real token: `<|im_end|>` where the vocabulary has it, else EOS."""
    vocabulary = tokenizer.get_vocab()
    end = "<|im_end|>" if "<|im_end|>" in vocabulary else tokenizer.eos_token
    if end is None:
        raise RecipeError(
            "the tokenizer has neither a chat template nor an end-of-sequence token",
            hint="set `model.chat_template` to a Jinja file, or use a tokenizer that has an EOS token",
        )
    # Newlines stand in expressions: templates are compiled to drop the first one after a tag.
    return (
        _begin(tokenizer)
        + "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + END }}"
        "{% if not loop.last or message['role'] != 'assistant' %}{{ '\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ).replace("END", repr(end))


def _begin(tokenizer: Any) -> str:
    """Tokenizers that put a BOS before plain text expect one in a conversation too; it is written once, by the template."""
    plain = tokenizer("a")["input_ids"]
    expected = tokenizer.bos_token_id is not None and plain[0] == tokenizer.bos_token_id
    return "{{ bos_token }}" if expected else ""


def use_end_of_turn_as_eos(tokenizer: Any) -> None:
    """Make the token that the template ends an answer with the EOS token.

    Base models that carry a chat template often end text with one token and turns with another; what training
    teaches is the second, so generation must stop on it.
    """
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
    try:
        text = tokenizer.apply_chat_template(messages, tokenize=False)
    except TemplateError as error:
        raise RecipeError(
            f"the chat template does not render a question and its answer: {error}",
            hint="set `model.chat_template` to a Jinja file that does",
        ) from error
    _, found, tail = text.rpartition(_MARK)
    if not found:
        return
    special = set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())
    turn_end = next(
        (token for token in tokenizer(tail, add_special_tokens=False)["input_ids"] if token in special), None
    )
    if turn_end is not None and turn_end != tokenizer.eos_token_id:
        tokenizer.eos_token = tokenizer.convert_ids_to_tokens(turn_end)


def use_distinct_pad(tokenizer: Any, ends: frozenset[int]) -> None:
    """Make sure that padding is a token of its own: where pad is also EOS, something will mask the wrong one."""
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id not in ends:
        return
    vocabulary = tokenizer.get_vocab()
    names = (*_PAD_NAMES, tokenizer.unk_token, tokenizer.bos_token)
    name = next((name for name in names if name in vocabulary and vocabulary[name] not in ends), None)
    if name is None:
        raise RecipeError(
            "the tokenizer has no token to pad with that is not also an end-of-sequence token",
            hint="set `pad_token` in the model's tokenizer_config.json to a token that never stands in an answer",
        )
    tokenizer.pad_token = name
