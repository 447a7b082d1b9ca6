"""Recipes (optimiser, schedule, regularisers) and the one loop that carries them out: `train.loop.train_run`."""
