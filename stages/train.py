"""Train one net: python -m stages.train RECIPE -> runs/<key>/."""

from pathlib import Path

from pipeline.params import load_params
from stages.command import one_argument, run_stage


def body() -> None:
    config = load_params().run_config(one_argument("train", "RECIPE"))
    from train.loop import train_run  # after the parameters are known good: torch takes seconds to import

    train_run(config, Path("runs") / config.key)


if __name__ == "__main__":
    run_stage("train", body)
