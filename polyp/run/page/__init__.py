"""The page of a run, `run.html`: what was trained, its curves, scores, worst frames, and what is missing."""
