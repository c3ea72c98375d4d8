"""The error for everything that the user can fix."""


class RecipeError(Exception):
    """What is wrong and where, what is allowed, and a hint; `str()` gives the message and a `hint:` line."""

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}"
