"""What the user can fix: an error that says where, what is wrong and what is allowed, and how to go on."""


class RecipeError(Exception):
    """Printed as its message and a last line `hint: ...`."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message
