"""Datasets with their grading: a task owns its examples and what counts as correct."""
