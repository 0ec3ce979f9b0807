"""Make revisions of what the models have and the history has not."""
