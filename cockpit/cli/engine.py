"""`tunedeck engine`: what an engine can do beside running jobs, carried out where the training stack is."""

import os
import subprocess
import sys

import click

from cockpit import library
from cockpit.cli.output import is_ascii
from cockpit.plain.mode import is_plain
from engines.recipe.schemas import ENGINES, find_verb, verbs_of


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", metavar="ENGINE VERB RECIPE [OPTIONS]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def engine(context: click.Context, arguments: tuple[str, ...]) -> int:
    """Do what an engine offers beside running jobs, with RECIPE: a file, or the name of a bundled recipe.

    `tunedeck engine ENGINE VERB --help` shows the options of a verb.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        click.echo(f"{context.get_help()}\n\nVerbs:")
        for name in ENGINES:
            for verb in verbs_of(name):
                click.echo(f"  {name} {verb}")
        return 0
    if len(arguments) < 2 or arguments[1].startswith("-"):
        find_verb(arguments[0], "")  # says which engines there are, or which verbs
    name, verb, *rest = arguments
    find_verb(name, verb)
    if rest and not rest[0].startswith("-"):
        rest[0] = str(library.find_recipe(rest[0]))
    # The training stack stays out of this process, and the terminal is the other's for as long as it runs.
    environment = {
        **os.environ,
        "TUNEDECK_ASCII": "1" if is_ascii() else "0",
        "TRANSFORMERS_VERBOSITY": os.environ.get("TRANSFORMERS_VERBOSITY", "error"),
    }
    command = [sys.executable, "-P", "-m", "engines.verbs", name, verb, *rest]
    try:
        if is_plain():
            return _in_words(command, environment)
        return subprocess.run(command, env=environment).returncode
    except KeyboardInterrupt:  # the other process was interrupted too, and has said so
        return 130


def _in_words(command: list[str], environment: dict[str, str]) -> int:
    """What the other process prints goes the way of everything else that is said."""
    with subprocess.Popen(
        command,
        env=environment,
        text=True,
        errors="replace",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            click.echo(line, nl=False)
    return process.returncode
