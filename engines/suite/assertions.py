"""Assertions taken apart: `assert f(args) == expected` becomes arguments and an expected value."""

import ast


def check_source(statement: ast.stmt, called: str) -> str | None:
    """The statement with its assertion turned into an entry of `__checks__`; None where that cannot be done.

    An entry is (kind, arguments, expected value, tolerance); `called` is the name of the tested function. What only
    prepares arguments stays as it is.
    """
    if isinstance(statement, ast.Assert):
        return _entry_source(statement.test, called)
    is_simple = isinstance(statement, ast.Assign | ast.Import | ast.ImportFrom | ast.Expr | ast.Pass)
    return ast.unparse(statement) if is_simple and not _mentions(statement, called) else None


def _entry_source(test: ast.expr, called: str) -> str | None:
    if isinstance(test, ast.Constant) and test.value:
        return "pass"
    kind, call, expected, tolerance = "truth", test, "True", "0.0"
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        call, expected = test.operand, "False"
    elif isinstance(test, ast.Compare) and len(test.ops) == 1:
        left, operator, right = test.left, test.ops[0], test.comparators[0]
        if isinstance(operator, ast.Eq | ast.Is):
            kind = "equal" if isinstance(operator, ast.Eq) else "is"
            call, other = (left, right) if _is_call(left, called) else (right, left)
        elif isinstance(operator, ast.Lt) and (difference := _difference(left, called)) is not None:
            kind, tolerance = "close", ast.unparse(right)
            call, other = difference
        else:
            return None
        if _mentions(other, called):
            return None
        expected = ast.unparse(other)
    if not isinstance(call, ast.Call) or not _is_call(call, called):
        return None
    arguments = "".join(f"{ast.unparse(argument)}, " for argument in call.args)
    return f"__checks__.append(__copy__(({kind!r}, ({arguments}), ({expected}), {tolerance})))"


def _difference(node: ast.expr, called: str) -> tuple[ast.expr, ast.expr] | None:
    """The call and the other side of `abs(f(x) - y)`."""
    if not (
        isinstance(node, ast.Call) and ast.unparse(node.func) in ("abs", "math.fabs") and len(node.args) == 1
    ):
        return None
    inner = node.args[0]
    if not (isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub)):
        return None
    if _is_call(inner.left, called):
        return inner.left, inner.right
    return (inner.right, inner.left) if _is_call(inner.right, called) else None


def _is_call(node: ast.expr, called: str) -> bool:
    """A call with positional arguments that do not call again."""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == called
        and not node.keywords
        and not any(
            isinstance(argument, ast.Starred) or _mentions(argument, called) for argument in node.args
        )
    )


def _mentions(node: ast.AST, name: str) -> bool:
    return any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node))
