"""Who may know whom, what may be imported, and what every engine must bring."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from engines.recipe.expand import load_recipe
from engines.recipe.schemas import ENGINES

ROOT = Path(__file__).parent.parent
PLUMBING = {"__init__", "__main__", "events", "run"}
HEAVY = {"torch", "transformers", "trl", "peft", "vllm", "datasets", "accelerate", "optuna"}
CONTROL_PLANE = [
    *(f"engines.{engine}" for engine in ENGINES),
    "engines.recipe.expand",
    "engines.distributed.launcher",
    "engines.events",
    "engines.statistics.intervals",
    "store.database",
    "store.jobs",
    "daemon.scheduler",
    "cockpit.__main__",
    "cockpit.submission",
    "cockpit.comparison",
    "cockpit.cli.queue",
    "cockpit.cli.groups",
    "daemon.calendar",
    "daemon.gpus.desk",
    "engines.recipe.experiment",
    "cockpit.cli.submitting",
    "cockpit.cli.results",
    "cockpit.cli.live",
    "cockpit.cli.regrade",
    "cockpit.cli.report",
    "cockpit.cli.engine",
    "cockpit.report.svg",
    "cockpit.report.text",
    "engines.statistics.crossed",
    "engines.tasks.summary",
    "engines.sandbox.drill",
    "cockpit.cli.sandbox",
    "cockpit.cli.recovery",
    "cockpit.cli.prune",
    "cockpit.exporting",
    "daemon.chores",
    "daemon.messenger",
    "daemon.reindex",
    "daemon.chaos.trials",
]


def _modules_after(code: str, cwd: Path = ROOT) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=cwd,
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", CONTROL_PLANE)
def test_the_control_plane_never_loads_the_training_stack(module: str) -> None:
    assert not _modules_after(f"import {module}") & HEAVY


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["jobs"],
        ["group"],
        ["schedules"],
        ["status"],
        ["recipes"],
        ["check", "smoke/command"],
        ["report", "none"],
        ["regrade", "1"],
        ["prune"],
        ["export", "1", "--csv"],
        ["service", "show"],
        ["engine"],
    ],
)
def test_a_command_answers_without_torch_or_textual(arguments: list[str], tmp_path: Path, home: Path) -> None:
    code = (
        f"import sys; from cockpit.__main__ import main; sys.argv = ['tunedeck', *{arguments!r}]\n"
        "try: main()\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)

    assert not set(done.stderr.split()) & (HEAVY | {"textual"})


@pytest.mark.parametrize("package", ["cockpit", "daemon", "engines", "store"])
def test_the_names_are_ours_from_any_directory(package: str) -> None:
    code = f"import {package}; print({package}.__file__)"
    done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=True)

    assert Path(done.stdout.strip()).parent == ROOT / package


def test_a_folder_called_engines_in_the_working_directory_does_not_win(tmp_path: Path) -> None:
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    code = "import engines; print(engines.__file__)"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert Path(done.stdout.strip()) == ROOT / "engines" / "__init__.py"


def _imports(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("package", ["cockpit", "daemon"])
def test_the_control_plane_sees_only_the_plumbing_of_the_engines(package: str) -> None:
    allowed = {
        "cockpit": {"events", "prompts", "recipe", "sandbox", "statistics", "suite", "tasks"},
        "daemon": {"recipe", "events"},
    }[package]
    for path in (ROOT / package).rglob("*.py"):
        seen = {name.split(".")[1] for name in _imports(path) if name.startswith("engines.")}

        assert seen <= allowed, path


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_do_not_know_each_other(engine: str) -> None:
    others = {f"engines.{other}" for other in ENGINES if other != engine}
    shared = list((ROOT / "engines").glob("*/*.py"))

    assert not _imports(ROOT / "engines" / f"{engine}.py") & others
    assert not [path for path in shared if _imports(path) & {f"engines.{engine}"}]


def test_every_engine_is_complete_and_none_is_unlisted() -> None:
    files = {path.stem for path in (ROOT / "engines").glob("*.py")} - PLUMBING

    assert files == set(ENGINES)
    for engine in ENGINES:
        assert (ROOT / "recipes" / "smoke" / f"{engine}.yaml").exists(), engine
        assert (ROOT / "tests" / "engines" / f"test_{engine}.py").exists(), engine


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").rglob("*.yaml")), ids=lambda path: path.stem)
def test_every_recipe_is_valid(path: Path) -> None:
    assert load_recipe(path).jobs


def test_recipes_hold_no_code() -> None:
    assert not list((ROOT / "recipes").rglob("*.py"))


def test_no_tests_folder_is_a_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_import_contracts_hold() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(lint), "--no-cache"], cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
