"""From a `PromptSpec` to the text and tokens that a particular model sees, through its chat template.

What a template does is found out by rendering and comparing, never assumed: whether it takes a system message,
and whether its generation prompt already begins the model's answer (the prefill).
"""

from datetime import date
from typing import Any

from jinja2.exceptions import TemplateError

from engines.prompts.spec import PromptSpec
from engines.recipe.errors import RecipeError
from engines.tasks.example import Example

_PROBE = "0PROBE0"
_TODAY = date(2024, 7, 26)
"""The day that prompts are rendered on, in templates that ask: the one that Llama 3.1 writes without asking."""


def conversation(tokenizer: Any, spec: PromptSpec, question: str) -> list[dict[str, str]]:
    """The messages up to the model's turn, with the system message folded into the user's where it must be."""
    messages = spec.messages(question)
    if not spec.system or _accepts_system(tokenizer, messages):
        return messages
    return [{"role": "user", "content": f"{spec.system}\n\n{messages[-1]['content']}"}]


def render_prompt(tokenizer: Any, spec: PromptSpec, question: str) -> str:
    """The text that generation starts from; it ends with the prefill."""
    text = _render(tokenizer, conversation(tokenizer, spec, question), add_generation_prompt=True)
    return text if text.endswith(spec.prefill) else text + spec.prefill


def render_row(tokenizer: Any, spec: PromptSpec, example: Example) -> tuple[str, str]:
    """Prompt and completion of a training row. The prompt is exactly the one that generation starts from."""
    prompt = render_prompt(tokenizer, spec, example.question)
    content = example.completion or spec.completion(example.reasoning, example.answer)
    answer = {"role": "assistant", "content": content}
    text = _render(tokenizer, [*conversation(tokenizer, spec, example.question), answer])
    if not text.startswith(prompt):
        raise RecipeError(
            f"{example.id}: the chat template renders a finished answer differently from the prompt that generation "
            f"starts from, so training would teach another prompt than evaluation asks ({prompt[-60:]!r})",
            hint="set `model.chat_template` to a template whose generation prompt is a prefix of the whole text",
        )
    return prompt, text[len(prompt) :]


def resolve_prefill(tokenizer: Any, spec: PromptSpec) -> PromptSpec:
    """The spec with the prefill that the model's template really produces: what follows the assistant's header."""
    prompt = render_prompt(tokenizer, spec, _PROBE)
    answer = {"role": "assistant", "content": _PROBE * 2}
    text = _render(tokenizer, [*conversation(tokenizer, spec, _PROBE), answer])
    header, found, _ = text.rpartition(_PROBE * 2)
    if found and prompt.startswith(header):
        return spec.model_copy(update={"prefill": prompt[len(header) :]})
    if found and header.startswith(
        prompt
    ):  # the template itself opens the answer, for instance with an empty think block
        return spec
    raise RecipeError(
        f"the chat template's generation prompt ({prompt[-60:]!r}) does not begin the assistant turn that it renders",
        hint="set `model.chat_template` to a template whose generation prompt is a prefix of the whole text",
    )


def render_turn(tokenizer: Any, role: str, content: str) -> str:
    """A conversation of this one message, up to the end of its content."""
    try:
        text = _render(tokenizer, [{"role": role, "content": content}])
    except TemplateError:  # Gemma's begins with the user
        text = _render(tokenizer, [{"role": "user", "content": content}])
    before, found, _ = text.rpartition(content.strip())
    if not found:
        raise RecipeError(
            f"the chat template changes the text of a message of `{role}` ({content[:40]!r})",
            hint="set `model.chat_template` to a template that writes messages as they are",
        )
    return before + found


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """Tokens of rendered text. The template has written any BOS, so none is added."""
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _accepts_system(tokenizer: Any, messages: list[dict[str, str]]) -> bool:
    try:
        text = _render(tokenizer, messages, add_generation_prompt=True)
    except TemplateError:
        return False
    # Some templates do not refuse a system message but drop it.
    return messages[0]["content"].strip() in text


def _render(tokenizer: Any, messages: list[dict[str, str]], *, add_generation_prompt: bool = False) -> str:
    if tokenizer.chat_template is None:
        raise RecipeError(
            "the tokenizer has no chat template, so the prompt cannot be rendered",
            hint="set `model.chat_template` to a Jinja file",
        )
    # Llama 3.2 and SmolLM3 write today's date: training, evaluation and its repetition must see the same one.
    text: str = tokenizer.apply_chat_template(
        messages, tokenize=False, add_generation_prompt=add_generation_prompt, strftime_now=_TODAY.strftime
    )
    return text
