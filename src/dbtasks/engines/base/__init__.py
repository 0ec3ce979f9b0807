"""What is the same on every database, and what a database overrides."""
