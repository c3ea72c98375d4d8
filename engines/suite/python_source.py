"""Python source read as syntax trees and literals, from any thread.

CPython 3.11 keeps the depth of the tree under construction for the whole interpreter (python/cpython#106905). Where the
garbage collector lets another thread parse in between, both counts are off and a SystemError ends the parse of correct source.
"""

import ast
import threading
from typing import Any, Literal, overload

_ONE_AT_A_TIME = threading.RLock()


@overload
def parse(source: str) -> ast.Module: ...
@overload
def parse(source: str, mode: Literal["eval"]) -> ast.Expression: ...
def parse(source: str, mode: str = "exec") -> Any:
    """`ast.parse`, one at a time. Raises what it raises: SyntaxError, ValueError, RecursionError, MemoryError."""
    with _ONE_AT_A_TIME:
        return ast.parse(source, mode=mode)


def literal(source: str) -> Any:
    """`ast.literal_eval` of source, whose parse is one at a time. Nothing is evaluated; raises as it does."""
    with _ONE_AT_A_TIME:
        return ast.literal_eval(source)
