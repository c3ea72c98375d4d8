"""Intervals and tests for scores. Standard library only: the cockpit imports this too."""
