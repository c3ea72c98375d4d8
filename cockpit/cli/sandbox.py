"""`tunedeck doctor --sandbox`: which walls this machine has for code that a model wrote, and what they hold."""

import click

from cockpit.cli import output
from cockpit.cli.output import narrate, print_json
from engines.sandbox import GUARDS, Layer, open_sandbox
from engines.sandbox.drill import run_drill

_MEANS = {
    Layer.L0: "limits only: a guard against accidents, none against hostile code",
    Layer.L1: "namespaces: no network, no other file, no other process",
    Layer.L2: "namespaces, Landlock and seccomp",
}


def check_sandbox(as_json: bool) -> int:
    """Try every attack of the matrix here, and print what is held. Exit code 1 when one is not. Takes seconds."""
    with open_sandbox(workers=1) as sandbox:
        drills = list(run_drill(sandbox))
        missing = dict(sandbox.missing)
    guards = [(guard, guard not in missing, missing.get(guard, "works")) for guard in GUARDS]
    held = sum(drill.result == "held" for drill in drills)
    if as_json:
        print_json(
            {
                "layer": sandbox.layer.name,
                "guards": [
                    {"guard": guard, "ok": works, "detail": detail} for guard, works, detail in guards
                ],
                "attacks": [
                    {
                        "attack": d.attack,
                        "family": d.family,
                        "tries": d.tries,
                        "result": d.result,
                        "detail": d.detail,
                    }
                    for d in drills
                ],
            }
        )
    else:
        output.table(
            ["guard", "", "detail"], [[g, "ok" if works else "MISSING", d] for g, works, d in guards]
        )
        click.echo("")
        rows = [
            [d.family, d.attack, "held" if d.result == "held" else d.result.upper(), d.tries, d.detail]
            for d in drills
        ]
        output.table(["family", "attack", "", "tries to", "ended as"], rows)
        narrate(f"layer {sandbox.layer.name} ({_MEANS[sandbox.layer]}): {held} of {len(drills)} attacks held")
    return 0 if held == len(drills) else 1
