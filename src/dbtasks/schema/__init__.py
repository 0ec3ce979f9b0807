"""The schema core: what a database has, as text that can be compared."""
