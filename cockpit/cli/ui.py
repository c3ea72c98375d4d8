"""Opening the terminal UI, and shell completion."""

import click

from cockpit.cli.output import json_option, narrate, print_json


def open_cockpit(read_only: bool, low_bandwidth: bool, at: str | None = None) -> None:
    """Opens the TUI, starting a daemon if none runs; one that only looks, or looks back, starts nothing."""
    import os
    import sys

    from cockpit.control import start_daemon
    from store import machine
    from store.database import StoreError, open_database

    # In a browser the terminal is textual-serve's.
    if not (sys.stdin.isatty() and sys.stdout.isatty()) and "TEXTUAL_DRIVER" not in os.environ:
        raise StoreError("the terminal UI needs a terminal\nhint: `tunedeck --help` lists the commands")
    database = open_database()
    if not read_only and at is None and not machine.daemon_is_running(database.home):
        start_daemon(database)
    from cockpit.app import run

    run(database.home, read_only=read_only, low_bandwidth=low_bandwidth, at=at)


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True)
@click.option("--read-only", is_flag=True, help="Look and change nothing.")
def serve(port: int, read_only: bool) -> None:
    """Show the terminal UI in a browser, on this machine's loopback alone. The address holds the key to it."""
    import socket

    from store.database import StoreError

    try:
        from cockpit.serve import LocalServer
    except ModuleNotFoundError as error:
        raise StoreError(
            f"the package `{error.name}` is not installed\nhint: pip install 'tunedeck[serve]'"
        ) from None
    server = LocalServer(port, read_only=read_only)
    click.echo(server.address)
    narrate(f"from elsewhere, first:  ssh -L {port}:127.0.0.1:{port} {socket.gethostname()}")
    narrate("ctrl+c ends it; jobs go on")
    try:
        server.serve()
    except OSError as error:
        raise StoreError(f"port {port}: {error.strerror}\nhint: take another with --port") from error


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
