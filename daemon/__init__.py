"""Decides what runs when: claims queued jobs, starts a supervisor for each, ingests what workers report.

Imports the store, `engines.recipe` and `engines.events`. Start reading at `scheduler.py`.
"""
