"""What a worker runs. Imports nothing of ours outside this package.

A top-level module here is an engine when it has two names: `Recipe` and `run(recipe, run)`. `__main__`, `recipe`,
`events` and `run` are the plumbing; a folder is a noun of the field that engines share. Engine modules are light at
import (pydantic only) and import the training stack inside `run`.

To add an engine: write `engines/<name>.py`, add its name to `EngineName` in `engines/recipe/blocks.py`, write
`recipes/smoke/<name>.yaml` and `tests/engines/test_<name>.py`. A test fails while one of them is missing.
"""
