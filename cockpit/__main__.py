"""`tunedeck`: the command line, and the door to the terminal UI.

Each command lives in a module that is imported only when it is called, so that `--help` and completion are instant.
This is also where an exception becomes a message and an exit code: 1 the operation or job failed, 2 usage or recipe
error, 3 nothing running to talk to, 130 interrupted.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from cockpit.cli import COMMANDS
from cockpit.plain.mode import is_plain


class LazyGroup(click.Group):
    """Finds commands in a table and imports a module when its command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _help = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"cockpit.cli.{module}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, text) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            hint = f"did you mean `{close[0]}`?" if close else "`tunedeck --help` lists the commands"
            raise click.UsageError(f"there is no command `{args[0]}`\nhint: {hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="tunedeck", message="tunedeck %(version)s")
@click.option("--read-only", is_flag=True, help="Open the terminal UI to look and change nothing.")
@click.option(
    "--low-bandwidth", is_flag=True, help="Open it for a slow line: at most 1 KiB/s, with a meter of it."
)
@click.option(
    "--at", metavar="MOMENT", help="Open it on the past: -2h, 03:00, '2026-11-20 03:00' or 'job 12 end'."
)
@click.option(
    "--plain",
    is_flag=True,
    help="A prompt in words instead, for screen readers; TUNEDECK_PLAIN=1 does the same.",
)
@click.option(
    "--say",
    type=click.Choice(["quiet", "events", "all"]),
    help="How much that prompt says unasked; events by default.",
)
@click.pass_context
def cli(
    context: click.Context, read_only: bool, low_bandwidth: bool, at: str | None, plain: bool, say: str | None
) -> None:
    """Queue and watch LLM post-training experiments, and find out whether B is really better than A.

    Without a command, opens the terminal UI.
    """
    if context.invoked_subcommand is not None:
        if read_only or low_bandwidth or at or plain or say:
            raise click.UsageError(
                "--read-only, --low-bandwidth, --at, --plain and --say are for the terminal UI\nhint: leave the command out"
            )
        if is_plain():
            _speak(context)
    # In a browser the terminal is textual-serve's, which shows the terminal UI and nothing else.
    elif plain or (is_plain() and "TEXTUAL_DRIVER" not in os.environ):
        from cockpit.plain.shell import open_shell

        if at:
            raise click.UsageError("--at is for the drawn cockpit\nhint: leave --plain or TUNEDECK_PLAIN out")
        open_shell(carry_out, read_only=read_only, verbosity=say or "events")
    elif say:
        raise click.UsageError("--say goes with --plain")
    else:
        from cockpit.cli.ui import open_cockpit

        open_cockpit(read_only, low_bandwidth, at)


def _speak(context: click.Context) -> None:
    """What this command prints goes out in words; at the plain prompt it does already."""
    from cockpit.plain.stream import SpokenStream, is_data, printing_to

    if not isinstance(sys.stdout, SpokenStream):
        data = is_data(context.invoked_subcommand or "", sys.argv)
        context.with_resource(printing_to(SpokenStream(sys.stdout, data), SpokenStream(sys.stderr)))


def main() -> None:
    """The entry point of the `tunedeck` script."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started us
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - for as long as we live
    sys.exit(carry_out())


def carry_out(arguments: Sequence[str] | None = None) -> int:
    """Runs a command, by default the one of this process; returns its exit code, and says what went wrong."""
    no_colour = is_plain() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    try:
        result: Any = cli.main(
            args=None if arguments is None else list(arguments),
            prog_name=None if arguments is None else "tunedeck",
            standalone_mode=False,
            color=False if no_colour else None,
            # Whoever listens wants a sentence whole, however long.
            terminal_width=10_000 if is_plain() else None,
        )
    except click.exceptions.Exit as exit_:
        return exit_.exit_code
    except (KeyboardInterrupt, click.Abort):
        _complain("interrupted")
        return 130
    except click.ClickException as error:
        _complain(error.format_message())
        return 2
    except Exception as error:
        return _explain(error)
    return result if isinstance(result, int) else 0


def _explain(error: Exception) -> int:
    from engines.recipe.errors import RecipeError
    from store.database import StoreError

    if isinstance(error, RecipeError):
        _complain(str(error))
        return 2
    if isinstance(error, StoreError):
        _complain(str(error))
        return 1
    import traceback

    from store import paths

    log = paths.home() / "cockpit.log"
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{' '.join(sys.argv)}\n{traceback.format_exc()}\n")
        where = f"the full traceback is in {log}"
    except OSError:
        where = "the home directory cannot be written either"
    _complain(f"{type(error).__name__}: {error}\nhint: {where}")
    return 1


def _complain(message: str) -> None:
    prefix = sys.stderr.isatty() and not os.environ.get("NO_COLOR") and not is_plain()
    click.echo(f"{click.style('error', fg='red', bold=True) if prefix else 'error'}: {message}", err=True)


if __name__ == "__main__":
    main()
