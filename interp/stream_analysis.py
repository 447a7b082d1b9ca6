"""What this room says of a run on streams: the finite-state machine that its last net follows, as files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from interp.automata import Automaton, find_automaton
from interp.automaton_drawing import drawing
from interp.automaton_graph import to_dict, to_graph
from pipeline.files import fresh_directory, only_replaces, snapshot_paths, to_json
from pipeline.nets import Recurrent
from pipeline.runs import load_snapshot
from pipeline.tasks.streaming import StreamTask

WRITTEN = ("automaton.json", "automaton.svg")


def analyse_stream_run(run_dir: Path, out_dir: Path) -> Automaton:
    """Write automaton.json, which says what was found or why nothing was, and automaton.svg where something was."""
    only_replaces(out_dir, WRITTEN)
    last = snapshot_paths(run_dir)[-1]
    snapshot = load_snapshot(last, Recurrent)
    assert isinstance(snapshot.task, StreamTask)
    found = find_automaton(snapshot.net, snapshot.task)
    with fresh_directory(out_dir) as directory:
        of = {"snapshot": hashlib.sha256(last.read_bytes()).hexdigest()}
        (directory / "automaton.json").write_text(to_json(of | to_dict(found)))
        if found.machine is not None:
            label = f"Machine of {found.machine.n_states} states of {run_dir.name}"
            (directory / "automaton.svg").write_text(drawing(to_graph(found.machine), label))
    return found
