"""Opening the terminal UI, and shell completion."""

import click

from cockpit.cli.output import json_option, narrate, print_json


def open_cockpit(read_only: bool, low_bandwidth: bool) -> None:
    """Opens the TUI, starting a daemon if none runs; a read-only one starts nothing."""
    import sys

    from cockpit.control import start_daemon
    from store import machine
    from store.database import StoreError, open_database

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise StoreError("the terminal UI needs a terminal\nhint: `tunedeck --help` lists the commands")
    database = open_database()
    if not read_only and not machine.daemon_is_running(database.home):
        start_daemon(database)
    from cockpit.app import run

    run(database.home, read_only=read_only, low_bandwidth=low_bandwidth)


@click.command()
@json_option
def keys(as_json: bool) -> None:
    """List every key of the terminal UI by the name that `keymap.yaml` in the home directory may give another key."""
    from cockpit.keymap import all_keys

    known = all_keys()
    if as_json:
        print_json(known)
        return
    width = max(map(len, known))
    for name, bound in known.items():
        click.echo(f"{name:<{width}}  {bound}")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of SHELL, e.g. `source <(tunedeck completion bash)`."""
    from click.shell_completion import get_completion_class

    from cockpit.__main__ import cli

    complete = get_completion_class(shell)
    if complete is None:
        narrate(f"there is no completion for {shell}")
        return
    click.echo(complete(cli, {}, "tunedeck", "_TUNEDECK_COMPLETE").source())
