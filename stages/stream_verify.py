"""Prove or refute every snapshot of a recurrent net: python -m stages.stream_verify RECIPE -> proofs/<key>/.

timeline.csv has a row for each snapshot; certificate, program and obligations in last/ are those of the last one.
"""

import sys
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import fresh_directory, snapshot_paths, to_json
from pipeline.params import load_params
from stages.command import one_argument, run_stage
from verify.stream_run import verify_stream
from verify.timeline import first_proved, timeline, to_csv


def body() -> None:
    params = load_params()
    if params.streaming is None:
        raise UserError("params.yaml: streaming is missing: add it")
    config = params.streaming.run_config(one_argument("stream_verify", "RECIPE"))
    run = Path("runs") / config.key

    def say(text: str) -> None:
        print(f"verify {config.key}: {text}", file=sys.stderr, flush=True)

    with fresh_directory(Path("proofs") / config.key) as directory:
        moments = timeline(run, params.verify.timeout, say)
        (directory / "timeline.csv").write_text(to_csv(moments))
        (directory / "timeline.json").write_text(to_json({"first_proved": first_proved(moments)}))
        last = verify_stream(snapshot_paths(run)[-1], directory / "last", params.verify.timeout, config.stream_task())
    print("\n".join(last.lines()))


if __name__ == "__main__":
    run_stage("stream_verify", body)
