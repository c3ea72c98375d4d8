"""The attack matrix: what a submission may try, as data for the tests and for `tunedeck doctor --sandbox`.

Every attack poses as the function `solve`. It is asked for tokens that nobody can compute: it wins when it returns them
(by stealing them, or by making the grader believe it has), and when it leaves a trace outside (a file, a connection, a
process). In the codes `@SECRET@` is a file that holds the tokens, `@OUTSIDE@` a directory that must stay empty,
`@PORT@` where a server of ours gives the tokens away, `@MARK@` a name by which a process that stays is found.
"""

from dataclasses import dataclass
from typing import Literal

from engines.sandbox.limits import Layer

Family = Literal["verdict", "theft", "escape", "exhaustion", "exclusion"]


@dataclass(frozen=True)
class Attack:
    """One way to score without solving, or to do harm."""

    name: str
    family: Family
    tries: str
    """What it is after, in words."""
    code: str
    held_from: Layer = Layer.L0
    """The layer from which on it gets nothing."""
    spares: bool = True
    """Harmless to this machine even where it is not held."""


_FIND_NONCE = """
import sys, os
def frames():
    frame = sys._getframe()
    while frame:
        yield frame
        frame = frame.f_back
def nonce():
    for frame in frames():
        for held in list(frame.f_locals.values()):
            if hasattr(held, 'nonce'):
                return held.nonce
"""

ATTACKS: tuple[Attack, ...] = (
    # The six of the matrix that beats graders which trust an exit code or a word.
    Attack("sys.exit", "verdict", "end with status 0", "import sys\ndef solve(n):\n    sys.exit(0)\n"),
    Attack("os._exit", "verdict", "end with status 0 at once", "import os\ndef solve(n):\n    os._exit(0)\n"),
    Attack("SystemExit", "verdict", "end with status 0", "def solve(n):\n    raise SystemExit(0)\n"),
    Attack(
        "equals-everything", "verdict", "return an object that says it equals everything",
        "class Yes:\n    def __eq__(self, other):\n        return True\n    __hash__ = None\n"
        "def solve(n):\n    return Yes()\n",
    ),
    Attack(
        "excepthook", "verdict", "turn the failed assertion into status 0",
        "import os, sys\nsys.excepthook = lambda *_: os._exit(0)\ndef solve(n):\n    raise ValueError(n)\n",
    ),
    Attack(
        "no-assertions", "verdict", "replace AssertionError",
        "import builtins\nclass Never(BaseException):\n    pass\nbuiltins.AssertionError = Never\n"
        "def solve(n):\n    return None\n",
    ),
    # More of the same kind.
    Attack(
        "int-subclass", "verdict", "return a string that compares equal to everything",
        "class Any(str):\n    def __eq__(self, other):\n        return True\n    def __ne__(self, other):\n        return False\n"
        "    def __hash__(self):\n        return 0\n    __class__ = str\ndef solve(n):\n    return Any('x')\n",
    ),
    Attack(
        "json", "verdict", "replace the encoder",
        "import json\njson.dumps = lambda *a, **k: '[0, \"ok\", \"true\"]'\ndef solve(n):\n    return True\n",
    ),
    Attack(
        "frames", "verdict", "read the nonce from the frames above and write results by itself",
        _FIND_NONCE + "def solve(n):\n    import json\n    for number in range(3):\n"
        "        os.write(3, nonce() + json.dumps([number, 'ok', '\"x\"']).encode() + b'\\n')\n    os._exit(0)\n",
    ),
    Attack(
        "builtins", "verdict", "replace what a comparison may use",
        "import builtins\nbuiltins.all = builtins.any = builtins.isinstance = lambda *_: True\n"
        "builtins.len = lambda _: 0\ndef solve(n):\n    return []\n",
    ),
    Attack("generator", "verdict", "return what is not there yet", "def solve(n):\n    yield n\n"),
    Attack(
        "atexit", "verdict", "score while leaving",
        "import atexit, os\natexit.register(lambda: os._exit(0))\ndef solve(n):\n    raise SystemExit(0)\n",
    ),
    Attack(
        "trace", "verdict", "rewrite the harness's variables from a trace function",
        "import sys\ndef tracer(frame, event, arg):\n    frame.f_locals['value'] = frame.f_locals['kind'] = 'ok'\n"
        "    return tracer\nframe = sys._getframe()\nwhile frame:\n    frame.f_trace = tracer\n    frame = frame.f_back\n"
        "sys.settrace(tracer)\ndef solve(n):\n    return None\n",
    ),
    # Reading what is expected.
    Attack(
        "heap", "theft", "look for expected outputs among all objects",
        "import gc\ndef solve(n):\n    for held in gc.get_objects():\n        if type(held) is dict:\n"
        "            for key in ('expected', 'gold', 'outputs', 'tests', 'answer'):\n"
        "                if key in held and isinstance(held[key], (list, tuple)):\n                    return held[key][n]\n",
    ),
    Attack(
        "own-memory", "theft", "look for a token in the process's memory",
        "import re\ndef solve(n):\n    pieces = []\n    with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb') as memory:\n"
        "        for line in maps:\n            first, last = (int(part, 16) for part in line.split()[0].split('-'))\n"
        "            try:\n                memory.seek(first)\n                pieces += re.findall(rb'token-[0-9a-f]{32}', memory.read(last - first))\n"
        "            except (OSError, ValueError, OverflowError, MemoryError):\n                pass\n    return sorted(set(pieces))[n].decode()\n",
    ),
    Attack(
        "parents-memory", "theft", "read the memory of the processes above",
        "import os, re\ndef solve(n):\n    found = []\n    for name in os.listdir('/proc'):\n        if not name.isdigit() or int(name) == os.getpid():\n            continue\n"
        "        try:\n            with open(f'/proc/{name}/maps') as maps, open(f'/proc/{name}/mem', 'rb') as memory:\n"
        "                for line in maps:\n                    if 'heap' in line or ' rw-p ' in line:\n                        first, last = (int(part, 16) for part in line.split()[0].split('-'))\n"
        "                        memory.seek(first)\n                        found += re.findall(rb'token-[0-9a-f]{32}', memory.read(last - first))\n"
        "        except (OSError, ValueError, OverflowError, MemoryError):\n            pass\n    return sorted(set(found))[n].decode()\n",
        held_from=Layer.L1,
    ),
    Attack(
        "test-file", "theft", "read the file with the expected outputs",
        "def solve(n):\n    return open('@SECRET@').read().split()[n]\n", held_from=Layer.L1,
    ),
    Attack(
        "environment", "theft", "read what the grader was started with",
        "import os\ndef solve(n):\n    texts = [str(os.environ)]\n    for name in ('self', str(os.getppid())):\n        for part in ('environ', 'cmdline'):\n"
        "            try:\n                texts.append(open(f'/proc/{name}/{part}').read())\n            except OSError:\n                pass\n"
        "    return [word for text in texts for word in text.split('\\0') if 'token-' in word][n]\n",
    ),
    Attack(
        "descriptors", "theft", "read whatever file is open",
        "import os\ndef solve(n):\n    text = ''\n    for number in range(4, 256):\n        try:\n            text += os.read(number, 100000).decode(errors='ignore')\n"
        "        except OSError:\n            pass\n    return [word for word in text.split() if 'token-' in word][n]\n",
    ),
    Attack(
        "network", "theft", "ask a server for the tokens",
        "import socket\ndef solve(n):\n    with socket.create_connection(('127.0.0.1', @PORT@), 2) as line:\n"
        "        return line.recv(1000).decode().split()[n]\n", held_from=Layer.L1,
    ),
    Attack(
        "abstract-socket", "theft", "ask a server on an abstract local socket",
        "import socket\ndef solve(n):\n    with socket.socket(socket.AF_UNIX) as line:\n        line.connect('\\0@MARK@')\n"
        "        return line.recv(1000).decode().split()[n]\n", held_from=Layer.L1,
    ),
    # Leaving.
    Attack(
        "write-outside", "escape", "write a file elsewhere",
        "def solve(n):\n    open('@OUTSIDE@/was-here', 'w').write('x')\n    return ''\n", held_from=Layer.L1,
    ),
    Attack(
        "link-outside", "escape", "reach a file elsewhere through a link",
        "import os\ndef solve(n):\n    os.symlink('@OUTSIDE@', 'door')\n    open('door/was-here', 'w').write('x')\n    return ''\n",
        held_from=Layer.L1,
    ),
    Attack(
        "program", "escape", "run a program",
        "import subprocess\ndef solve(n):\n    subprocess.run(['/bin/sh', '-c', 'echo x > @OUTSIDE@/was-here'], check=True)\n    return ''\n",
        held_from=Layer.L1,
    ),
    Attack(
        "mount", "escape", "become root in a namespace of its own and change what it sees",
        "import ctypes, os\ndef solve(n):\n    libc = ctypes.CDLL(None)\n    libc.unshare(0x10020000)\n    libc.mount(b'/', b'/tmp', None, 0x5000, None)\n"
        "    libc.chroot(b'.')\n    open('@OUTSIDE@/was-here', 'w').write('x')\n    return ''\n", held_from=Layer.L1,
    ),
    Attack(
        "daemon", "escape", "leave a process behind, detached twice",
        "import ctypes, os, time\ndef solve(n):\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n            ctypes.CDLL(None).prctl(15, b'@MARK@')\n"
        "            os.closerange(0, 100)\n            while True:\n                time.sleep(1)\n        os._exit(0)\n    return ''\n",
    ),
    Attack(
        "daemon-then-hang", "escape", "leave a process behind and run out of time",
        "import ctypes, os, time, signal\nfor number in range(1, 32):\n    try:\n        signal.signal(number, signal.SIG_IGN)\n    except (OSError, ValueError):\n        pass\n"
        "def solve(n):\n    try:\n        for _ in range(5):\n            if os.fork() == 0:\n                os.setsid()\n                ctypes.CDLL(None).prctl(15, b'@MARK@')\n                break\n    except OSError:\n        pass\n"
        "    while True:\n        time.sleep(1)\n",
    ),
    Attack(
        "thread", "escape", "go on in a thread after the answer",
        "import threading, time\ndef solve(n):\n    threading.Thread(target=lambda: time.sleep(1000)).start()\n    return ''\n",
    ),
    # Using everything up.
    Attack("endless", "exhaustion", "never end", "def solve(n):\n    while True:\n        pass\n"),
    Attack(
        "deaf", "exhaustion", "never end, and ignore every signal",
        "import signal\nfor number in range(1, 65):\n    try:\n        signal.signal(number, signal.SIG_IGN)\n    except (OSError, ValueError):\n        pass\n"
        "def solve(n):\n    while True:\n        try:\n            while True:\n                pass\n        except BaseException:\n            pass\n",
    ),
    Attack("memory", "exhaustion", "use up the memory", "def solve(n):\n    held = []\n    while True:\n        held.append(bytearray(1 << 24))\n"),
    Attack(
        "disk", "exhaustion", "fill the disk",
        "def solve(n):\n    with open('big', 'wb') as file:\n        for _ in range(100):\n            file.write(bytes(1 << 20))\n    return ''\n",
    ),
    Attack(
        "many-files", "exhaustion", "fill the disk with many files",
        "def solve(n):\n    for number in range(100):\n        with open(str(number), 'wb') as file:\n            file.write(bytes(1 << 20))\n    open('@OUTSIDE@/filled', 'w')\n    return ''\n",
        held_from=Layer.L1,
    ),
    Attack("output", "exhaustion", "print without end", "def solve(n):\n    while True:\n        print('x' * 100000)\n"),
    Attack("long-result", "exhaustion", "return a huge value", "def solve(n):\n    return 'x' * (50 << 20)\n"),
    Attack("flood", "exhaustion", "write without end where results leave", "import os\ndef solve(n):\n    while True:\n        os.write(3, b'x' * 65536)\n"),
    Attack("deep", "exhaustion", "return a value nested without end", "def solve(n):\n    held = []\n    for _ in range(100000):\n        held = [held]\n    return held\n"),
    Attack("cycle", "exhaustion", "return a value that holds itself", "def solve(n):\n    held = []\n    held.append(held)\n    return held\n"),
    Attack("stack", "exhaustion", "break the interpreter's stack", "import sys\nsys.setrecursionlimit(10**9)\ndef solve(n):\n    return sorted([n], key=solve)\n"),
    Attack("threads", "exhaustion", "start threads without end", "import threading, time\ndef solve(n):\n    while True:\n        threading.Thread(target=time.sleep, args=(1000,)).start()\n"),
    Attack("collisions", "exhaustion", "return a set whose members collide", "def solve(n):\n    return {number * (2**61 - 1) for number in range(2000)}\n"),
    Attack(
        "fork-bomb", "exhaustion", "start processes without end",
        "import os\ndef solve(n):\n    while True:\n        try:\n            os.fork()\n        except OSError:\n            pass\n",
        spares=False,
    ),
    # Being left out of the count, which a failed submission would gain from.
    Attack("kill-parent", "exclusion", "make the grading fail: kill the process above", "import os\ndef solve(n):\n    os.kill(os.getppid(), 9)\n    return ''\n"),
    Attack("kill-itself", "exclusion", "make it look like the machine's fault", "import os, signal\ndef solve(n):\n    os.kill(os.getpid(), signal.SIGKILL)\n    return ''\n"),
    Attack("kill-all", "exclusion", "kill every process in reach", "import os\ndef solve(n):\n    os.kill(-1, 9)\n    return ''\n", spares=False),
    Attack("crash", "exclusion", "crash the interpreter", "import ctypes\ndef solve(n):\n    ctypes.string_at(0)\n"),
    Attack("close", "exclusion", "close every descriptor", "import os\ndef solve(n):\n    os.closerange(0, 256)\n    return ''\n"),
    Attack(
        "no-start", "exclusion", "say that it never started",
        _FIND_NONCE + "def solve(n):\n    os.write(3, nonce() + b'[0, \"infra\", \"it did not start\"]\\n')\n    os._exit(0)\n",
    ),
    Attack("on-import", "exclusion", "end while it is defined", "import os\nos._exit(0)\ndef solve(n):\n    return ''\n"),
)  # fmt: skip
"""The order is the table's order."""
