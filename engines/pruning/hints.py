"""A question with its answer as a hint, for a model that has not found it (STaR, Zelikman et al. 2022)."""

from typing import Annotated

from pydantic import AfterValidator

DEFAULT_HINT = "{question}\n\nThe answer is {answer}. Show the steps that lead to it."


def hinted_question(hint: str, question: str, answer: str) -> str:
    """The hint with both in their places; braces in a question are left alone."""
    before, _, after = hint.partition("{question}")
    return before.replace("{answer}", answer) + question + after.replace("{answer}", answer)


def _names_both(hint: str) -> str:
    if "{question}" not in hint or "{answer}" not in hint:
        raise ValueError("`hint` must contain `{question}` and `{answer}`")
    return hint


Hint = Annotated[str, AfterValidator(_names_both)]
