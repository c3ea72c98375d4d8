"""Shows and asks: the command line and the terminal UI, two faces of the same reads and wishes.

Imports the store, `engines.recipe` and `engines.statistics`; never torch. Start reading at `cli/__init__.py`.
"""
