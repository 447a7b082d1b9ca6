"""Train the net of an experiment: python -m stages.train NAME -> runs/NAME/."""

from pathlib import Path

from stages.command import chosen, run_stage


def body() -> None:
    experiment = chosen("train")
    from train.run import train_run  # after the parameters are known good: torch takes seconds to import

    train_run(experiment, Path("runs") / experiment.name)


if __name__ == "__main__":
    run_stage("train", body)
