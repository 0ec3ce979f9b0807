"""The company: departments and their employees."""
