"""IFEval's verifiable instructions (Zhou et al. 2023): one small predicate each, by the benchmark's own names.

Languages are told apart with `langdetect`, where that is installed; else the instruction counts as a grader's error.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Check = Callable[[str, Mapping[str, Any]], bool]

_BULLET = re.compile(r"(?m)^[ \t]*(?:\*[^\*]|-\s)")
_HIGHLIGHT = re.compile(r"\*\*[^\n\*]+\*\*|\*[^\n\*]+\*")
_PLACEHOLDER = re.compile(r"\[[^\[\]\n]+\]")
_SENTENCE = re.compile(r"[.!?]+(?=\s|$)")
_FENCED = re.compile(r"(?s)^```(?:json|JSON|Json)?\s*(.*?)\s*```$")
_OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")


class LanguageUnknownError(RuntimeError):
    """No detector is installed."""


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def _related(count: int, relation: str | None, wanted: int) -> bool:
    return count < wanted if relation == "less than" else count >= wanted


def _occurrences(text: str, word: str) -> int:
    return len(re.findall(rf"(?i)\b{re.escape(word)}\b", text))


def _keywords(text: str, given: Mapping[str, Any]) -> bool:
    return all(re.search(re.escape(word), text, re.IGNORECASE) for word in given["keywords"])


def _frequency(text: str, given: Mapping[str, Any]) -> bool:
    count = len(re.findall(re.escape(given["keyword"]), text, re.IGNORECASE))
    return _related(count, given.get("relation"), int(given["frequency"]))


def _forbidden(text: str, given: Mapping[str, Any]) -> bool:
    return not any(_occurrences(text, word) for word in given["forbidden_words"])


def _letter(text: str, given: Mapping[str, Any]) -> bool:
    count = text.lower().count(given["letter"].lower())
    return _related(count, given.get("let_relation"), int(given["let_frequency"]))


def _language(text: str, given: Mapping[str, Any]) -> bool:
    try:
        import langdetect
    except ImportError as error:
        raise LanguageUnknownError("langdetect is not installed, so the language cannot be told") from error
    langdetect.DetectorFactory.seed = 0
    try:
        return bool(langdetect.detect(text) == given["language"])
    except langdetect.LangDetectException:
        return False


def _sentences(text: str, given: Mapping[str, Any]) -> bool:
    return _related(len(_SENTENCE.findall(text)), given.get("relation"), int(given["num_sentences"]))


def _paragraphs(text: str, given: Mapping[str, Any]) -> bool:
    """Separated by `***`, as the instruction says."""
    parts = [part.strip() for part in re.split(r"\s?\*\*\*\s?", text)]
    if not all(parts[1:-1]):
        return False
    return sum(map(bool, parts)) == int(given["num_paragraphs"])


def _number_of_words(text: str, given: Mapping[str, Any]) -> bool:
    return _related(len(words(text)), given.get("relation"), int(given["num_words"]))


def _nth_paragraph(text: str, given: Mapping[str, Any]) -> bool:
    """Separated by empty lines; the n-th begins with a word."""
    parts = [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]
    place = int(given["nth_paragraph"])
    if len(parts) != int(given["num_paragraphs"]) or not 1 <= place <= len(parts):
        return False
    first = parts[place - 1].split()[0].lstrip("'\"").lower()
    return re.sub(r"[.,?!'\"].*", "", first) == str(given["first_word"]).lower()


def _placeholders(text: str, given: Mapping[str, Any]) -> bool:
    return len(_PLACEHOLDER.findall(text)) >= int(given["num_placeholders"])


def _postscript(text: str, given: Mapping[str, Any]) -> bool:
    marker = str(given["postscript_marker"]).strip()
    loose = {"P.S.": r"p\.\s?s\.", "P.P.S": r"p\.\s?p\.\s?s"}.get(marker, re.escape(marker.lower()))
    return re.search(loose, text.lower()) is not None


def _bullets(text: str, given: Mapping[str, Any]) -> bool:
    return len(_BULLET.findall(text)) == int(given["num_bullets"])


def _constrained(text: str, _given: Mapping[str, Any]) -> bool:
    return any(option in text for option in _OPTIONS)


def _highlights(text: str, given: Mapping[str, Any]) -> bool:
    found = [match for match in _HIGHLIGHT.findall(text) if match.strip("* ")]
    return len(found) >= int(given["num_highlights"])


def _sections(text: str, given: Mapping[str, Any]) -> bool:
    marker = re.escape(str(given["section_spliter"]).strip())
    return len(re.split(rf"\s?{marker}\s?\d+\s?", text)) - 1 >= int(given["num_sections"])


def _json(text: str, _given: Mapping[str, Any]) -> bool:
    match = _FENCED.match(text.strip())
    try:
        json.loads(match[1] if match else text.strip())
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, _given: Mapping[str, Any]) -> bool:
    inside = [line.partition("<<")[2].rpartition(">>")[0] for line in text.splitlines()]
    return any(title.strip("<> ") for title in inside)


def _two_responses(text: str, _given: Mapping[str, Any]) -> bool:
    parts = [part.strip() for part in text.split("******")]
    if not all(parts[1:-1]):
        return False
    told = [part for part in parts if part]
    return len(told) == 2 and told[0] != told[1]


def _repeats(text: str, given: Mapping[str, Any]) -> bool:
    return text.strip().lower().startswith(str(given["prompt_to_repeat"]).strip().lower())


def _ends(text: str, given: Mapping[str, Any]) -> bool:
    return text.strip().strip('"').lower().endswith(str(given["end_phrase"]).strip().lower())


def _quoted(text: str, _given: Mapping[str, Any]) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


def _capital_words(text: str, given: Mapping[str, Any]) -> bool:
    count = sum(word.isupper() for word in text.split())
    return _related(count, given.get("capital_relation"), int(given["capital_frequency"]))


CHECKS: dict[str, Check] = {
    "keywords:existence": _keywords,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden,
    "keywords:letter_frequency": _letter,
    "language:response_language": _language,
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_words": _number_of_words,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": _constrained,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json,
    "detectable_format:title": _title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeats,
    "startend:end_checker": _ends,
    "startend:quotation": _quoted,
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": lambda text, _given: text.isupper(),
    "change_case:english_lowercase": lambda text, _given: text.islower(),
    "punctuation:no_comma": lambda text, _given: "," not in text,
}
