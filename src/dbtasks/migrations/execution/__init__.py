"""Apply and revert revisions, and tell where a database stands."""
