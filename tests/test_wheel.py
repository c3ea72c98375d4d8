"""A wheel built from the project works by itself, from any directory, recipes included."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.slow  # building one fetches the build backend
def test_a_wheel_runs_a_bundled_recipe_from_another_directory(tmp_path: Path) -> None:
    site, cwd = tmp_path / "site", tmp_path / "elsewhere"
    cwd.mkdir()
    environment = os.environ | {"PYTHONPATH": str(site), "TUNEDECK_HOME": str(tmp_path / "home")}

    def python(*arguments: str) -> str:
        argv = [sys.executable, "-P", *arguments]
        return subprocess.run(
            argv, cwd=cwd, env=environment, capture_output=True, text=True, check=True
        ).stdout

    python("-m", "build", "--wheel", "--outdir", str(tmp_path / "wheel"), str(ROOT))
    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    python("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel))

    assert python("-c", "import cockpit; print(cockpit.__file__)").strip() == str(
        site / "cockpit" / "__init__.py"
    )
    assert "demo" in python("-m", "cockpit", "recipes")
    try:
        assert python("-m", "cockpit", "submit", "smoke/command", "--wait") == "1\n"
        assert "hello from" in python("-m", "cockpit", "logs", "1")
        for name in ("engines/modeling/pocket/model.safetensors", "cockpit/screens/queue.tcss"):
            assert (site / name).exists()
    finally:
        python("-m", "cockpit", "down", "--stop-jobs")
