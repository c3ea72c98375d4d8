"""`python -P -m engines.verbs ENGINE VERB RECIPE ...`: carries out a verb, in the terminal that it is started from.

Exit codes are those of the control plane, which starts this: 0, 1 for what went wrong, 2 for what was asked wrongly.
"""

import sys
import traceback
from importlib import import_module
from typing import Any

import click

from engines.recipe.errors import RecipeError
from engines.recipe.schemas import find_verb


def main(arguments: list[str]) -> int:
    engine, name, *rest = arguments
    try:
        module, _, function = find_verb(engine, name).partition(":")
        command: click.Command = getattr(import_module(module), function)
        result: Any = command.main(
            rest, prog_name=f"tunedeck engine {engine} {name}", standalone_mode=False, obj=engine
        )
        return result if isinstance(result, int) else 0
    except (KeyboardInterrupt, click.Abort):
        return _complain("interrupted", 130)
    except click.ClickException as error:
        return _complain(error.format_message(), 2)
    except RecipeError as error:
        return _complain(str(error), 2)
    except ModuleNotFoundError as error:
        hint = "`pip install 'tunedeck[train]'` brings the training stack"
        return _complain(f"{error}\nhint: {hint}", 1)
    except BrokenPipeError:  # whoever read the output has seen enough
        sys.stderr.close()
        return 0
    except Exception as error:
        traceback.print_exc()
        return _complain(f"{type(error).__name__}: {error}", 1)


def _complain(message: str, code: int) -> int:
    click.echo(f"error: {message}", err=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
