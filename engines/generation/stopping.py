"""Finding stop strings while tokens arrive, without decoding every row at every step."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

_BYTE_TOKEN = re.compile(r"<0x[0-9A-Fa-f]{2}>$")


class StopStrings:
    """Tells whether a sequence of generated tokens has just completed a stop string."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self.strings = [text for text in stop if text]
        self._tokenizer = tokenizer
        # A token is at least one byte of text, so this many tokens hold any stop string that the last one ends.
        self._tail = max((len(text.encode()) for text in self.strings), default=0) + 8
        self._closing = _closing_tokens(tokenizer, tuple(self.strings))

    def completed(self, token_ids: list[int]) -> bool:
        """True when the last token completes a stop string. Cheap for the many tokens that cannot."""
        if token_ids[-1] not in self._closing:
            return False
        text = decode(self._tokenizer, token_ids[-self._tail :])
        return any(stop in text for stop in self.strings)

    def cut(self, text: str) -> tuple[str, bool]:
        """The text up to and with the stop string that ends first, and whether there was one."""
        ends = [text.find(stop) + len(stop) for stop in self.strings if stop in text]
        return (text[: min(ends)], True) if ends else (text, False)


def decode(tokenizer: Any, token_ids: list[int]) -> str:
    """Exactly what was generated. Special tokens stay: tags that were registered as such must not vanish."""
    return str(tokenizer.decode(token_ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


@lru_cache(maxsize=8)
def _closing_tokens(tokenizer: Any, stop: tuple[str, ...]) -> frozenset[int]:
    """Tokens that may hold the last character of a stop string. Large vocabularies take a while: found once."""
    last = {text[-1] for text in stop}
    if not last:
        return frozenset()
    pieces = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    # Vocabularies spell printable ASCII as itself and nothing else, so any other last character rules no token out.
    if not all("!" <= character <= "~" for character in last):
        return frozenset(range(len(pieces)))
    return frozenset(
        index
        for index, piece in enumerate(pieces)
        if piece is not None and (not last.isdisjoint(piece) or _BYTE_TOKEN.match(piece))
    )
