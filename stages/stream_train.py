"""Train one recurrent net: python -m stages.stream_train RECIPE -> runs/<key>/."""

from pathlib import Path

from pipeline.errors import UserError
from pipeline.params import load_params
from stages.command import one_argument, run_stage


def body() -> None:
    streaming = load_params().streaming
    if streaming is None:
        raise UserError("params.yaml: streaming is missing: add it")
    config = streaming.run_config(one_argument("stream_train", "RECIPE"))
    from train.streaming import train_stream_run
    from verify.teacher import counterexamples

    train_stream_run(config, Path("runs") / config.key, counterexamples)


if __name__ == "__main__":
    run_stage("stream_train", body)
