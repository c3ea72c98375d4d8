"""Rewards by name: what a completion earns, as functions of its text and the gold answer."""
