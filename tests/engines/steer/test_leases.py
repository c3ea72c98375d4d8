import os
import signal
import subprocess
import sys

from engines.steer.leases import Leases

HOLD = """
import sys
from pathlib import Path
from engines.steer.leases import Leases
print(Leases(Path(sys.argv[1])).take("batch"), flush=True)
sys.stdin.read()
"""


def holder(directory):
    command = [sys.executable, "-c", HOLD, str(directory)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, process.stdout.readline().strip()


def test_what_another_process_holds_cannot_be_taken_until_it_is_killed(tmp_path):
    process, taken = holder(tmp_path)
    leases = Leases(tmp_path)
    assert taken == "True" and not leases.take("batch") and leases.take("another")
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert leases.take("batch")
    other, taken = holder(tmp_path)
    assert taken == "False"
    other.communicate()


def test_what_was_released_is_free(tmp_path):
    first, second = Leases(tmp_path), Leases(tmp_path)
    assert first.take("batch") and first.take("batch") and not second.take("batch")
    first.release("batch")
    assert second.take("batch")
