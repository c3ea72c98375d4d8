"""Run code that a model wrote, and learn what it returns without telling it what is right.

Expected outputs stay with the caller: a submission gets code and inputs, plain values come back, and the caller
compares (`matches`, `same_output`). So a submission that takes over its whole process still has to guess the answer.
Around it stand as many guards as the machine allows (`Layer`); which ones is tried at the start and said in `Sandbox.layer`.

    with open_sandbox(require=Layer.L1) as sandbox:
        outcomes = sandbox.call("def square(x): return x * x", "square", [(3,), (4,)])

Standard library only, Linux only.
"""

from engines.sandbox.compare import EQUAL, Comparison, matches, same_output
from engines.sandbox.limits import GUARDS, Guard, Kind, Layer, Limits, Outcome
from engines.sandbox.pool import Sandbox, SandboxError, open_sandbox
from engines.sandbox.values import NotPlainError, decode, encode

__all__ = [
    "EQUAL",
    "GUARDS",
    "Comparison",
    "Guard",
    "Kind",
    "Layer",
    "Limits",
    "NotPlainError",
    "Outcome",
    "Sandbox",
    "SandboxError",
    "decode",
    "encode",
    "matches",
    "open_sandbox",
    "same_output",
]
