"""What a cockpit that only looks lets through. A command that is not named here is taken for one that changes something."""

from collections.abc import Callable

_LOOKS = frozenset(
    (
        "status",
        "check",
        "schema",
        "jobs",
        "show",
        "why",
        "wait",
        "logs",
        "metrics",
        "compare",
        "analyze",
        "examples",
        "keys",
    )
)


def _has_none_of(*options: str) -> Callable[[list[str]], bool]:
    return lambda arguments: not any(word.split("=")[0] in options for word in arguments)


_LOOKS_WHERE: dict[str, Callable[[list[str]], bool]] = {
    "doctor": _has_none_of("--reindex", "--chaos"),
    "group": _has_none_of("--slots", "--no-limit", "--pause", "--resume"),
    "schedules": lambda arguments: not arguments or arguments[0] in ("list", "--json"),
    "recipes": lambda arguments: not arguments or arguments[0] in ("list", "show", "--json"),
    "report": _has_none_of("--out", "-o"),
    # In front, where it cannot be the value of another option.
    "regrade": lambda arguments: arguments[:1] == ["--dry-run"],
    "prune": lambda arguments: arguments[:1] == ["--dry-run"],
}


def only_looks(command: str, arguments: list[str]) -> bool:
    """Whether a command changes nothing, neither in the queue nor in files."""
    if arguments[:1] in (["--help"], ["-h"]) or command in _LOOKS:
        return True
    return command in _LOOKS_WHERE and _LOOKS_WHERE[command](arguments)
