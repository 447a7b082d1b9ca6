"""Recipes (optimiser, schedule, regularisers) and the one loop that carries them out: `train.loop.train_run`."""

import pipeline  # noqa: F401 (holds numpy and torch to one instruction set)
