"""`tunedeck doctor --sandbox` as users meet it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from engines.sandbox import Layer, open_sandbox
from engines.sandbox.attacks import ATTACKS


def test_the_doctor_names_the_layer_and_tries_every_attack(home: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "cockpit", "doctor", "--sandbox", "--json"],
        capture_output=True, text=True, cwd=tmp_path, timeout=200, env=os.environ,
    )  # fmt: skip
    told = json.loads(done.stdout)
    with open_sandbox(workers=1) as sandbox:
        layer = sandbox.layer

    assert told["layer"] == layer.name
    assert [attack["attack"] for attack in told["attacks"]] == [attack.name for attack in ATTACKS]
    held = all(attack["result"] == "held" for attack in told["attacks"])
    assert held == (done.returncode == 0) and (held or layer < Layer.L1)
