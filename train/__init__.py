"""Recipes (optimiser, schedule, regularisers) and the one loop that carries them out: `train.loop.train_run`."""

import pipeline.missing_modules  # noqa: F401 (first: it says in one line what a command lacks)
