"""Change the files of a history: merge, rebase, squash."""
