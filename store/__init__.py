"""What is true: the database of jobs, metrics and scores, and the home directory around it.

Imports nothing of ours; the only package that imports SQLAlchemy. Start reading at `schema.py`, then `jobs.py`.
"""
