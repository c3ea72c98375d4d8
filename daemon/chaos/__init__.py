"""Trials of the queue: real daemons, supervisors and workers, killed at random moments. Start reading at `trials.py`."""
