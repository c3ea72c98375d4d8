"""Run a submission's code in this process, which is shut in and is lost afterwards.

Everything here shares memory with hostile code and can be read and changed by it. Nothing here is worth anything: what
is right is known in another process, and a value that was made up is as good as the guess behind it.
"""

import atexit
import io
import json
import os
import sys
import threading
import traceback
import types
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from engines.sandbox.values import NotPlainError, decode, encode

_DETAIL = 300


def call_on_each(
    code: str, entry: str, inputs: Sequence[str], first: int, result_limit: int, tell: Callable[[bytes], None]
) -> None:
    """Define `code`, call `entry` on each encoded tuple of arguments, and tell each outcome as a line of JSON.

    `entry` is a function's name, or `Class.method` for a method of a new instance. `first` is the first input's number.
    """
    dumps = (
        json.dumps
    )  # Kept from before the code runs, so that a careless `import json` trick harms only itself.

    def say(number: int, kind: str, text: str) -> None:
        tell(dumps([number, kind, text]).encode() + b"\n")

    try:
        function = _defined(code, entry)
    except BaseException as error:
        for number in range(first, first + len(inputs)):
            say(number, *_failure(error))
        return
    for number, text in enumerate(inputs, start=first):
        try:
            arguments = decode(text)
            value = function(*arguments)
            say(number, "ok", encode(value, result_limit))
        except NotPlainError as error:
            say(number, "wrong_type", str(error)[:_DETAIL])
        except BaseException as error:
            say(number, *_failure(error))


def run_program(code: str) -> int:
    """Run `code` as a program on the process's own stdin and stdout. Returns its exit status."""
    sys.stdin, sys.stdout, sys.stderr = _stream(0, "r"), _stream(1, "w"), _stream(2, "w")
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    status = 0
    try:
        exec(compile(code, "<submission>", "exec"), module.__dict__)
    except SystemExit as error:
        status = _exit_status(error.code)
    except BaseException:
        traceback.print_exc()
        status = 1
    # What the interpreter does at its end: fast programs print from there.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _defined(code: str, entry: str) -> Callable[..., Any]:
    module = types.ModuleType("solution")
    sys.modules["solution"] = module  # dataclasses look their class's module up
    exec(compile(code, "<submission>", "exec"), module.__dict__)
    owner, _, method = entry.rpartition(".")
    found = module.__dict__[owner or method]
    made: Callable[..., Any] = getattr(found(), method) if owner else found
    return made


def _failure(error: BaseException) -> tuple[str, str]:
    if isinstance(error, MemoryError):
        return "oom", "MemoryError"
    try:
        text = f"{type(error).__name__}: {error}"
    except BaseException:
        text = "an exception that cannot be printed"
    return "exception", text[:_DETAIL]


def _exit_status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return int(code) & 0xFF
    print(code, file=sys.stderr)  # noqa: T201
    return 1


def _stream(descriptor: int, mode: str) -> TextIO:
    raw = os.fdopen(descriptor, mode + "b", closefd=False)
    return io.TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape", write_through=False)
