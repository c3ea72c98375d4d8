"""Regular expressions that people type, matched by RE2: in time linear in the text, whatever was typed.

Python's own would try `(a|a)+$` on one long line for longer than anybody waits, and hold up every other thread meanwhile.
What RE2 does without: looking around and back references.
"""

from functools import lru_cache
from typing import Any


class PatternError(ValueError):
    """A text that is no pattern; the message says what is wrong with it."""


@lru_cache(maxsize=64)
def compiled(pattern: str | bytes, *, ignore_case: bool = True) -> Any:
    """A pattern of RE2's, with the methods of Python's; one of bytes looks at bytes. PatternError where it is none."""
    # Most who open the store look for nothing.
    import re2

    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not ignore_case
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        (why,) = error.args
        raise PatternError(why.decode(errors="replace") if isinstance(why, bytes) else str(why)) from None


def asks_for_capitals(text: str) -> bool:
    """Small letters match capitals too; a capital asks for itself."""
    return any(character.isupper() for character in text)
