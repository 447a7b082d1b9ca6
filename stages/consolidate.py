"""Continue a run by the recipe `consolidation`: python -m stages.consolidate RECIPE -> runs/<key>/."""

from pathlib import Path

from pipeline.params import CONSOLIDATION, load_params
from stages.command import one_argument, run_stage


def body() -> None:
    params, recipe = load_params(), one_argument("consolidate", "RECIPE")
    before, (after, budget) = params.run_config(recipe), params.phase(recipe)
    from train.loop import continued, train_run  # after the parameters are known good: torch takes seconds to import

    start = Path("runs") / before.key / "snapshots" / f"cycle-{after:04d}.safetensors"
    config = continued(start, CONSOLIDATION, params.recipes[CONSOLIDATION], budget)
    train_run(config, Path("runs") / config.key, start=start)


if __name__ == "__main__":
    run_stage("consolidate", body)
