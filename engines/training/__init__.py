"""Callbacks and checks that training engines share."""
