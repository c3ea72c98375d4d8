"""The recipe: the YAML that a user writes, checked before anything is queued.

`document.py` reads YAML with line numbers, `blocks.py` is the schema, `expand.py` turns a file into jobs.
"""
