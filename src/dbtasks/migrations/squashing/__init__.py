"""One revision in the place of several: which, their code put together, and the proof."""
