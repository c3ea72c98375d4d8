"""Proximal policy optimization of several tasks at once, with a critic of its own."""
