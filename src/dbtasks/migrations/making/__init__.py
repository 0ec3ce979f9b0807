"""Revisions made from what the models have and the history has not."""
