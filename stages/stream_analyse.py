"""The finite-state abstraction of the last snapshot: python -m stages.stream_analyse RECIPE -> analysis/<key>/.

automaton.json says what was found or why nothing was; automaton.svg is there where something was.
"""

from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import fresh_directory, snapshot_paths, to_json
from pipeline.params import load_params
from stages.command import one_argument, run_stage


def body() -> None:
    params = load_params()
    if params.streaming is None:
        raise UserError("params.yaml: streaming is missing: add it")
    config = params.streaming.run_config(one_argument("stream_analyse", "RECIPE"))
    from interp.automata import find_automaton
    from interp.automaton_drawing import drawing
    from interp.automaton_graph import to_dict, to_graph
    from pipeline.stream_runs import load_stream_snapshot

    snapshot = load_stream_snapshot(snapshot_paths(Path("runs") / config.key)[-1])
    with fresh_directory(Path("analysis") / config.key) as directory:
        found = find_automaton(snapshot.net, snapshot.task)
        (directory / "automaton.json").write_text(to_json(to_dict(found)))
        if found.machine is not None:
            label = f"Machine of {found.machine.n_states} states of {config.key}"
            (directory / "automaton.svg").write_text(drawing(to_graph(found.machine), label))
    print(found.sentence)


if __name__ == "__main__":
    run_stage("stream_analyse", body)
