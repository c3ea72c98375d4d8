"""What processes of a pool do in tests: importable by name, as a spawned process needs."""

import os
import time


def _until_closed(pipe, reply):
    pipe.send("ready")
    while True:
        try:
            pipe.send(reply(pipe.recv()))
        except EOFError:
            return


def doubles(pipe):
    _until_closed(pipe, lambda number: 2 * number)


def hangs_on_zero(pipe):
    _until_closed(pipe, lambda number: number or time.sleep(3600))


def dies_on_zero(pipe):
    _until_closed(pipe, lambda number: number or os._exit(1))


def never_answers(pipe):
    _until_closed(pipe, lambda question: time.sleep(3600))


def always_fails(pipe):
    _until_closed(pipe, lambda question: ("raised", "ValueError: no number"))


def gives_almost_all(pipe):
    _until_closed(pipe, lambda question: ("ok", 0.98))


def does_not_start(pipe):
    raise SystemExit(1)
