"""IFEval: instructions that a program can verify. An answer is right when it follows every one of them."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

from engines.sandbox import Sandbox
from engines.suite.ifeval_checks import CHECKS, LanguageUnknownError, words
from engines.suite.item import Item, SuiteGrade, SuiteTask, grader_error, make_item, no_answer

_TOPICS = (
    "a rainy day",
    "the first train",
    "a small garden",
    "learning to swim",
    "an old bridge",
    "winter markets",
)
_WORDS = ("river", "lantern", "quiet", "copper", "window", "harvest", "signal", "meadow")


def _parse(row: Mapping[str, Any]) -> Item:
    """Rows of google/IFEval: `prompt`, `instruction_id_list` and `kwargs`, one mapping an instruction."""
    kwargs = [{k: v for k, v in (given or {}).items() if v is not None} for given in row["kwargs"]]
    return _item(str(row["prompt"]), list(row["instruction_id_list"]), kwargs)


def _item(prompt: str, names: list[str], kwargs: list[dict[str, Any]], difficulty: int | None = None) -> Item:
    unknown = [name for name in names if name not in CHECKS]
    if unknown or not names or len(names) != len(kwargs):
        raise ValueError(
            f"unknown instructions {unknown}" if unknown else "instructions and kwargs do not pair up"
        )
    gold = [{"id": name, **given} for name, given in zip(names, kwargs, strict=True)]
    return make_item("ifeval", prompt, gold, difficulty=difficulty)


def _grade(item: Item, text: str, _sandbox: Sandbox) -> SuiteGrade:
    """Strict: every instruction holds. Leniently: also without the first or last line, or without asterisks."""
    if not text.strip():
        return no_answer()
    if words(text) == words(item.prompt):
        return no_answer("whole_text", "the prompt given back")
    try:
        followed = [CHECKS[one["id"]](text, one) for one in item.answer]
        lenient = all(followed) or any(_all_hold(item, variant) for variant in _variants(text))
    except LanguageUnknownError as error:
        return grader_error(str(error))
    missed = [one["id"] for one, held in zip(item.answer, followed, strict=True) if not held]
    detail = f"not followed: {', '.join(missed)}" if missed else ""
    right = not missed
    return SuiteGrade(float(right), right, lenient, "graded", None, "whole_text", detail, in_format=True)


def _all_hold(item: Item, text: str) -> bool:
    return bool(text.strip()) and all(CHECKS[one["id"]](text, one) for one in item.answer)


def _variants(text: str) -> Iterator[str]:
    """The benchmark's loose variants."""
    lines = text.split("\n")
    trimmed = ["\n".join(part).strip() for part in (lines, lines[1:], lines[:-1], lines[1:-1])]
    yield from trimmed
    yield from (part.replace("*", "") for part in trimmed)


def _made(seed: int, difficulty: int) -> Item:
    """Two to four instructions that one short text can follow; the first is never followed by accident."""
    draw = random.Random(f"ifeval {seed}")
    topic, keywords = draw.choice(_TOPICS), draw.sample(_WORDS, 2)
    most = draw.randint(25, 60)
    sure: list[tuple[str, str, dict[str, Any]]] = [
        ("keywords:existence", f"Use the words {keywords[0]} and {keywords[1]}.", {"keywords": keywords}),
        ("detectable_format:title", "Give it a title in double angular brackets, as in <<title>>.", {}),
        ("startend:end_checker", 'End with exactly: "That is all."', {"end_phrase": "That is all."}),
        ("detectable_format:number_bullet_lists", "Use exactly 2 bullet points that begin with `* `.", {"num_bullets": 2}),
        ("detectable_content:number_placeholders", "Use at least 2 placeholders in square brackets.", {"num_placeholders": 2}),
    ]  # fmt: skip
    more: list[tuple[str, str, dict[str, Any]]] = [
        ("punctuation:no_comma", "Do not use any commas.", {}),
        ("change_case:english_lowercase", "Write in lowercase letters only.", {}),
        ("length_constraints:number_words", f"Use less than {most} words.", {"relation": "less than", "num_words": most}),
        ("keywords:forbidden_words", "Do not use the word very.", {"forbidden_words": ["very"]}),
    ]  # fmt: skip
    chosen = [draw.choice(sure), *draw.sample(more, 1 + min(difficulty, 4) // 2)]
    prompt = f"Write a short text about {topic}. {' '.join(asked for _, asked, _ in chosen)}"
    return _item(prompt, [name for name, _, _ in chosen], [given for _, _, given in chosen], difficulty)


def _gold(item: Item) -> str:
    """A text that follows all instructions of a made item. Raises ValueError for others: the data has no answers."""
    names = [one["id"] for one in item.answer]
    keywords = next((one["keywords"] for one in item.answer if one["id"] == "keywords:existence"), ["river"])
    text = f"<<notes>>\n* {' '.join(keywords)} [one]\n* then [two]\nthat is all."
    if not all(CHECKS[one["id"]](text, one) for one in item.answer):
        raise ValueError(f"no answer is known to {', '.join(names)}")
    return text


TASKS = (SuiteTask("ifeval", "ood", "google/IFEval", _parse, _made, _gold, _grade, hub_split="train"),)
