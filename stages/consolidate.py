"""Continue a run by the recipe `consolidation`: python -m stages.consolidate RECIPE -> runs/<key>/."""

from pathlib import Path

from pipeline.errors import UserError
from pipeline.params import CONSOLIDATION, TrainParams, checked, load_params
from stages.command import one_argument, run_stage


def body() -> None:
    params, recipe = load_params(), one_argument("consolidate", "RECIPE")
    phase, before = params.consolidation, params.run_config(recipe)
    if phase is None:
        raise UserError("consolidation is missing in params.yaml: add it, with `after` and `cycle_steps`")
    steps = params.train.steps - phase.after * params.train.cycle_steps
    values = params.train.model_dump(mode="json") | {"steps": steps, "cycle_steps": phase.cycle_steps}
    train = checked(values, TrainParams, "consolidation")
    from train.loop import continued, train_run  # after the parameters are known good: torch takes seconds to import

    start = Path("runs") / before.key / "snapshots" / f"cycle-{phase.after:04d}.safetensors"
    config = continued(start, CONSOLIDATION, params.recipes[CONSOLIDATION], train)
    train_run(config, Path("runs") / config.key, start=start)


if __name__ == "__main__":
    run_stage("consolidate", body)
