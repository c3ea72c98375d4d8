"""What the sandbox returns for honest and for failing code, and that nothing is left of either."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engines.recipe.errors import RecipeError
from engines.sandbox import Layer, Limits, Outcome, open_sandbox
from engines.sandbox import pool as pool_module
from engines.sandbox.drill import processes_named
from engines.sandbox.landlock import abi_version

ROOT = Path(__file__).parents[3]
QUICK = Limits(wall=0.5, run_wall=3.0)


@pytest.fixture(scope="module")
def sandbox():
    with open_sandbox(workers=2) as opened:
        yield opened


def kinds(outcomes):
    return [outcome.kind for outcome in outcomes]


def test_a_function_is_called_on_each_input_and_its_values_come_back(sandbox):
    outcomes = sandbox.call("def pair(a, b):\n    return (a, [b])", "pair", [(1, "x"), ({2}, None)])

    assert outcomes == [Outcome("ok", (1, ["x"])), Outcome("ok", ({2}, [None]))]


def test_a_method_of_a_class_is_called_on_a_new_instance(sandbox):
    code = "class Solution:\n    def __init__(self):\n        self.n = 0\n    def up(self, k):\n        self.n += k\n        return self.n"

    assert [outcome.value for outcome in sandbox.call(code, "Solution.up", [(1,), (2,)])] == [1, 3]


def test_state_and_arguments_of_one_input_are_plain_copies(sandbox):
    held = [3, 1, 2]

    outcomes = sandbox.call("def f(x):\n    x.sort()\n    return x", "f", [(held,), (held,)])

    assert [outcome.value for outcome in outcomes] == [[1, 2, 3]] * 2 and held == [3, 1, 2]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("def f(x):\n    return 1 / 0", "exception"),
        ("def f(x) return", "exception"),
        ("def g(x):\n    return x", "exception"),
        ("raise SystemExit(0)", "exception"),
        ("def f(x):\n    return object()", "wrong_type"),
        ("def f(x):\n    return 'x' * 2**21", "wrong_type"),
        ("def f(x):\n    return [0] * 10**10", "oom"),
        ("def f(x):\n    while True: pass", "timeout"),
        ("while True: pass", "timeout"),
        ("import os\ndef f(x):\n    os._exit(0)", "killed"),
        ("import ctypes\ndef f(x):\n    ctypes.string_at(0)", "killed"),
    ],
)
def test_each_way_to_fail_has_its_name_for_every_input(sandbox, code, kind):
    assert kinds(sandbox.call(code, "f", [(1,), (2,), (3,)], QUICK)) == [kind] * 3


def test_one_failing_input_leaves_the_others_alone(sandbox):
    outcomes = sandbox.call("def f(x):\n    return 1 // x", "f", [(1,), (0,), (1,)])

    assert kinds(outcomes) == ["ok", "exception", "ok"]


def test_after_a_timeout_the_rest_runs_in_a_new_process_where_deaths_are_allowed(sandbox):
    code = "def f(x):\n    while x == 2: pass\n    return x"

    outcomes = sandbox.call(code, "f", [(1,), (2,), (3,)], Limits(wall=0.3, deaths=3))
    unrun = sandbox.call(code, "f", [(1,), (2,), (3,)], Limits(wall=0.3))

    assert kinds(outcomes) == ["ok", "timeout", "ok"]
    assert kinds(unrun) == ["ok", "timeout", "timeout"] and "not run" in unrun[2].detail


def test_the_whole_run_has_a_limit_too(sandbox):
    began = time.monotonic()

    outcomes = sandbox.call(
        "import time\ndef f(x):\n    time.sleep(0.3)", "f", [(k,) for k in range(50)], Limits(run_wall=1.0)
    )

    assert outcomes[0].kind == "ok" and outcomes[-1].kind == "timeout" and time.monotonic() - began < 5


def test_a_program_reads_stdin_and_its_output_comes_back(sandbox):
    code = "import sys\nname = input()\nprint(name.upper(), *sys.stdin.read().split())"

    assert [outcome.value for outcome in sandbox.run_stdin(code, ["é\n1 2\n", "b"])] == ["É 1 2\n", "B\n"]


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("if __name__ == '__main__':\n    print('main')", "main\n"),
        ("import sys\nprint('x')\nsys.exit()", "x\n"),
        ("import atexit, sys\natexit.register(lambda: sys.stdout.write('late'))", "late"),
        ("import threading\nthreading.Thread(target=lambda: print('thread')).start()", "thread\n"),
        ("import os\nos.write(1, os.read(0, 10))", "raw"),
        ("print(open(0).read())", "raw\n"),
        ("import sys\nprint(sys.stdin.buffer.read().decode())", "raw\n"),
    ],
)
def test_programs_may_be_written_in_all_usual_ways(sandbox, code, printed):
    assert sandbox.run_stdin(code, ["raw"]) == [Outcome("ok", printed)]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("print(1)\nraise ValueError", "exception"),
        ("print(1)\nexit(3)", "exception"),
        ("while True: print('x' * 1000)", "exception"),
        ("while True: pass", "timeout"),
        ("x = [0] * 10**10", "oom"),
        ("import ctypes\nctypes.string_at(0)", "killed"),
    ],
)
def test_programs_fail_under_the_same_names(sandbox, code, kind):
    assert kinds(sandbox.run_stdin(code, ["1"], QUICK)) == [kind]


def test_what_a_function_prints_is_dropped_and_changes_nothing(sandbox):
    assert sandbox.call("def f(x):\n    print('x' * 10**6)\n    return x", "f", [(5,)]) == [Outcome("ok", 5)]


def test_sets_of_strings_come_in_the_same_order_in_every_server():
    code = "def f():\n    return list({'apple', 'pear', 'fig', 'plum'})"
    orders = []
    for _ in range(3):
        with open_sandbox(workers=1) as opened:
            orders.append(opened.call(code, "f", [()])[0].value)

    assert orders[0] == orders[1] == orders[2]


def test_several_submissions_run_at_once_and_none_gets_anothers_values(sandbox):
    def one(number):
        return sandbox.call(f"def f(x):\n    return x + {number}", "f", [(k,) for k in range(5)])

    with ThreadPoolExecutor(4) as threads:
        for number, outcomes in enumerate(threads.map(one, range(20))):
            assert [outcome.value for outcome in outcomes] == [k + number for k in range(5)]


def test_nothing_survives_a_timeout(sandbox):
    """A process that detached itself twice, ignores signals and closed everything, while its parent hangs."""
    code = """
import ctypes, os, signal, time
def f(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(15, b'tdsurvivor')
            ctypes.CDLL(None).prctl(1, 0)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            os.closerange(0, 100)
            while True:
                time.sleep(1)
        os._exit(0)
    while True:
        time.sleep(1)
"""
    for guards in (["limits"], ["namespaces"]):
        with open_sandbox(guards=guards, workers=1) as opened:
            if set(guards) - opened.guards:
                continue  # The machine has none of them.
            assert kinds(opened.call(code, "f", [(1,)], QUICK)) == ["timeout"]
            assert processes_named("tdsurvivor") == []


def test_nothing_survives_a_killed_evaluation(tmp_path):
    code = "import ctypes\nctypes.CDLL(None).prctl(15, b'tdorphan')\nopen('running', 'w')\nwhile True: pass"
    script = (
        "from engines.sandbox import open_sandbox, Limits\n"
        f"open_sandbox(workers=1).run_stdin({code!r}, [''], Limits(wall=300, run_wall=300))"
    )
    started = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    wait_until(lambda: processes_named("tdorphan"))
    started.kill()
    started.wait()

    wait_until(lambda: not processes_named("tdorphan"))
    wait_until(lambda: not list(tmp_path.iterdir()))


def test_a_server_that_dies_before_the_code_runs_is_nobodys_fault(sandbox, monkeypatch):
    monkeypatch.setattr(pool_module, "_BOOT", "raise SystemExit(1)")
    broken = pool_module.Sandbox(sandbox.guards, {}, 1)

    assert kinds(broken.call("def f(x):\n    return x", "f", [(1,), (2,)])) == ["infra", "infra"]


def test_a_layer_that_is_not_reached_is_refused_with_the_reason():
    with pytest.raises(RecipeError, match=r"L0 here, L1 is required .*namespaces: left out"):
        open_sandbox(Layer.L1, guards=["limits"])


def test_the_layer_that_is_found_is_what_its_guards_amount_to(sandbox):
    with open_sandbox(guards=["limits"], workers=1) as bare:
        assert bare.layer is Layer.L0 and set(bare.missing) == {"namespaces", "landlock", "seccomp"}
    assert (sandbox.layer is Layer.L2) == (not sandbox.missing)


@pytest.mark.parametrize("guards", [["namespaces"], ["landlock"], ["seccomp"]])
def test_each_guard_alone_runs_honest_code(guards):
    with open_sandbox(guards=guards, workers=1) as opened:
        assert opened.call("def f(x):\n    return x * 2", "f", [(2,)]) == [Outcome("ok", 4)]


def test_namespaces_show_no_other_process_no_network_and_no_other_file(sandbox):
    if sandbox.layer < Layer.L1:
        pytest.skip("no namespaces here")
    code = (
        "import os\ndef f(*paths):\n"
        "    return os.getpid(), os.listdir('.'), [path for path in paths if os.path.exists(path)], dict(os.environ)"
    )
    paths = ("/etc", "/proc", "/home", "/usr/bin", str(ROOT), "/dev/null", "/tmp")

    assert sandbox.call(code, "f", [paths])[0].value == (1, [], ["/dev/null", "/tmp"], {})


def test_two_runs_share_no_file(sandbox):
    code = "import os\ndef f(x):\n    open('left', 'w').write('x')\n    return os.listdir('.')"
    for guards in (["limits"], ["namespaces"]):
        with open_sandbox(guards=guards, workers=1) as opened:
            assert [opened.call(code, "f", [(1,)])[0].value for _ in range(2)] == [["left"], ["left"]]


def test_landlock_is_used_where_the_kernel_has_it(sandbox):
    try:
        abi_version()
    except OSError:
        pytest.skip("no Landlock here")
    assert "landlock" in sandbox.guards


def wait_until(condition, seconds=20.0):
    ends_at = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends_at, "it did not happen"
        time.sleep(0.01)
