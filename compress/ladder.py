"""The ladder: trained -> pruned -> student -> integer student, each with its size and its wrong answers, counted.

Of a task that is no signed sum mod p the ladder ends with the pruned net: a student computes nothing else.

Of a net of few neurons the pruned net is the net without what does nothing (`compress.cut`), and the integer student
its own core (`compress.core`); no student is distilled where that core names the net's answers.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from torch import nn

from compress.closing import Closing, measure_closing
from compress.core import core_of
from compress.cut import cut
from compress.distill import Distilled, DistillOptions, distill_student
from compress.prune import prune_net
from compress.quantize import QuantizeOptions, quantize_student
from compress.student import Student, save_student, unique_argmax
from compress.teacher import Teacher, key_frequencies, observe
from pipeline.errors import UserError
from pipeline.files import fresh_directory, only_replaces, to_json, write_atomically
from pipeline.kernels import settle
from pipeline.nets import Transformer
from pipeline.params import PairCompressParams
from pipeline.runs import Run, Snapshot, load_snapshot, save_snapshot
from pipeline.tasks import SIGNED, ModularTask, Task

LADDER_SCHEMA = "catapult-ladder-1"

LARGEST_CORE = 64
"""Neurons up to which a net is its own student."""

WRITTEN = ("pruned.safetensors", "student_float.safetensors", "student.safetensors", "ladder.csv", "ladder.json")


@dataclass(frozen=True)
class Rung:
    """One net. `parameters`: every stored number, read-out table included; `wrong` of all `inputs`, exactly."""

    name: str
    parameters: int
    bytes: int
    wrong: int
    inputs: int
    note: str


@dataclass(frozen=True)
class OwnCore:
    """How much of the integer student is the net's own (see `compress.core.Core`).

    `additive`: share of the preactivations' variance that sums of tables have. `wrong_before`: answers of the net that
    its tables miss as they are. `own`: share of the variance of the integer tables that the net's own explain.
    """

    additive: float
    wrong_before: int
    own: float


@dataclass(frozen=True)
class Ladder:
    """What compression did to one net.

    `closing` is measured against the task's answers; a ratio of 1 or more cannot be proved cheaply. `explained` is
    false where the net's answers are no such function as a student computes, `outliers` counts the answers left out
    where they are, `disagreements` the inputs on which the integer student and the trained net differ. `core` is None
    where the student was distilled. All of these are None where no student is made; `not_applicable` then says why.
    """

    rungs: tuple[Rung, ...]
    frequencies: tuple[int, ...] | None
    closing: Closing | None
    explained: bool | None
    outliers: int | None
    disagreements: int | None
    core: OwnCore | None
    not_applicable: dict[str, str] = field(default_factory=dict)

    @property
    def compression(self) -> float:
        """Parameters of the trained net per stored number of the last rung."""
        return self.rungs[0].parameters / self.rungs[-1].parameters


@dataclass(frozen=True)
class Compressed:
    """The nets on the rungs below the trained one, and the ladder.

    There is no float student where the core is the net's own, and none at all where no student computes the task.
    """

    ladder: Ladder
    pruned: Snapshot
    student: Student | None
    integer: Student | None


def compress_net(
    snapshot: Snapshot,
    head_scores: Float64[np.ndarray, " head"],
    neuron_scores: Float64[np.ndarray, " d_mlp"],
    params: PairCompressParams,
    say: Callable[[str], None] = lambda text: None,
) -> Compressed:
    """Prune, distil and quantise one net. The same arguments give the same bits, whatever the number of cores.

    The task's answers are used to train or choose nothing; they are only counted against. (With params.prune_criterion
    "train", those of the training pairs are; the scores of the circuit, which order the pruning, are taken on those
    too.)
    """
    net, task = snapshot.net, snapshot.pair_task
    train, held_out = snapshot.split()
    settle()
    rungs = [_rung("trained", net, task, f"{net.config.n_heads} heads, {net.config.d_mlp} neurons")]
    say(_line(rungs[-1]))
    found, core, student = cut(net), None, None
    if len(found.neurons) <= LARGEST_CORE:
        smaller = found.net
        note = _size(smaller) + f"; the net without what does nothing, logits within {found.difference:.0e}"
    else:
        smaller = prune_net(net, task, train, head_scores, neuron_scores, params.prune_criterion).net
        note = _size(smaller)
    rungs.append(_rung("pruned", smaller, task, note))
    say(_line(rungs[-1]))
    if not (isinstance(task, ModularTask) and task.operation in SIGNED):
        why = {"student": f"a student computes a + b or a - b mod p, and the task is {task}"}
        say(f"no student: {why['student']}")
        ladder = Ladder(tuple(rungs), None, None, None, None, None, None, why)
        return Compressed(ladder, snapshot.with_net(smaller), None, None)
    teacher = observe(smaller, task, held_out)
    own = _own_core(smaller, teacher, params, say) if len(found.neurons) <= LARGEST_CORE else None
    if own is not None:
        distilled, integer, core = own
    else:
        distilled, integer = _closing_student(teacher, params, say)
        student = distilled.student()
        waves = ", ".join(map(str, distilled.frequencies))
        note = f"{student.left.shape[1]} units, frequencies {waves}"
        rungs.append(_student_rung("student", student, note if distilled.explained else f"{note}; net not explained"))
        say(_line(rungs[-1]))
    closing = measure_closing(integer, task.answers())
    note = f"{params.table_bits}-bit tables, {params.mix_bits}-bit mix"
    if core is not None:
        waves = ", ".join(map(str, distilled.frequencies))
        note += f"; the net's own {integer.left.shape[1]} neurons, frequencies {waves}"
    rungs.append(_student_rung("integer student", integer, note))
    say(_line(rungs[-1]))
    say(f"{rungs[0].parameters / rungs[-1].parameters:.0f} times fewer parameters, closing ratio {closing.ratio:.2f}")
    disagreements = int((integer.answers() != observe(net, task, held_out).answers).sum())
    ladder = Ladder(
        tuple(rungs), distilled.frequencies, closing, distilled.explained, distilled.outliers, disagreements, core
    )
    return Compressed(ladder, snapshot.with_net(smaller), student, integer)


def _own_core(
    net: Transformer, teacher: Teacher, params: PairCompressParams, say: Callable[[str], None]
) -> tuple[Distilled, Student, OwnCore] | None:
    """The integer core of a small net, where it names the net's answers and a proof over its features closes."""
    core = core_of(net, teacher)
    if not core.distilled.explained:
        say(f"the net's own tables miss {core.distilled.outliers} of its answers; a student is distilled")
        return None
    bits = QuantizeOptions(params.table_bits, params.mix_bits, steps=2 * params.quantize_steps)
    integer = quantize_student(core.distilled, bits)
    ratio = measure_closing(integer, teacher.answers, core.distilled.kept).ratio
    if ratio >= 1:
        say(f"the net's own tables have a closing ratio of {ratio:.2f}; a student is distilled")
        return None
    own = OwnCore(core.additive, core.wrong_before, core.own(integer))
    say(f"its own tables: {own.own:.1%} of the integer ones' variance, closing ratio {ratio:.2f}")
    return core.distilled, integer, own


def compress_run(
    run_dir: Path,
    analysis_dir: Path,
    out_dir: Path,
    params: PairCompressParams,
    say: Callable[[str], None] = lambda text: None,
) -> Ladder:
    """Compress the last snapshot of a run, led by the circuit in `analysis_dir`, into a directory replaced as a whole.

    Writes pruned.safetensors, student_float.safetensors and student.safetensors where there are such students,
    ladder.csv and ladder.json. Raises UserError where the run or the circuit is missing or damaged, or where the two do
    not belong together.
    """
    from interp.circuits import component_scores, load_circuit  # networkx: not for `import compress`

    run = Run.open(run_dir)
    only_replaces(out_dir, WRITTEN)
    snapshot = load_snapshot(run.snapshots[-1])
    path = analysis_dir / "circuit.json"
    circuit, sha256 = load_circuit(path), hashlib.sha256(run.snapshots[-1].read_bytes()).hexdigest()
    if circuit.graph.get("snapshot") != sha256:
        raise UserError(f"{path}: not of {run.snapshots[-1]}; analyse this run again, or name its own --analysis")
    heads, neurons = (scores.numpy() for scores in component_scores(circuit))
    config = snapshot.net.config
    if (len(heads), len(neurons)) != (config.n_heads, config.d_mlp):
        raise UserError(
            f"{path}: scores {len(heads)} heads and {len(neurons)} neurons, {run.snapshots[-1]} has "
            f"{config.n_heads} and {config.d_mlp}; analyse this run again"
        )
    compressed = compress_net(snapshot, heads, neurons, params, say)
    with fresh_directory(out_dir) as directory:
        save_snapshot(directory / "pruned.safetensors", compressed.pruned)
        if compressed.student is not None:
            save_student(directory / "student_float.safetensors", compressed.student)
        if compressed.integer is not None:
            save_student(directory / "student.safetensors", compressed.integer)
        write_atomically(directory / "ladder.csv", ladder_csv(compressed.ladder))
        write_atomically(directory / "ladder.json", ladder_json(compressed.ladder, sha256))
    return compressed.ladder


def ladder_csv(ladder: Ladder) -> str:
    """One row a rung: name,parameters,bytes,wrong,inputs,note."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(Rung.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(rung) for rung in ladder.rungs)
    return text.getvalue()


def ladder_json(ladder: Ladder, snapshot: str) -> str:
    """`snapshot` is the hash of the trained net's file; `not_applicable` is there where it says something."""
    values: dict[str, Any] = {
        "schema": LADDER_SCHEMA,
        "snapshot": snapshot,
        "compression": ladder.compression,
        **asdict(ladder),
    }
    if not ladder.not_applicable:
        del values["not_applicable"]
    return to_json(values)


def _closing_student(
    teacher: Teacher, params: PairCompressParams, say: Callable[[str], None]
) -> tuple[Distilled, Student]:
    """Distil and quantise until the closing ratio, against the teacher's own answers, is at most params.closing_ratio.

    Attempt i has i more units a frequency and other starts; the attempt with the smallest ratio is returned. A
    teacher that is not explained gets one attempt.
    """
    frequencies = key_frequencies(teacher, params.key_frequencies, params.strong)
    best: tuple[float, Distilled, Student] | None = None
    for attempt in range(params.attempts):
        units = params.units_per_frequency + attempt
        options = DistillOptions(
            units=units, restarts=params.restarts, steps=params.distill_steps, seed=params.seed + attempt
        )
        distilled = distill_student(teacher, frequencies, options)
        bits = QuantizeOptions(params.table_bits, params.mix_bits, steps=params.quantize_steps)
        integer = quantize_student(distilled, bits)
        ratio = measure_closing(integer, teacher.answers, distilled.kept).ratio
        if best is None or ratio < best[0]:
            best = ratio, distilled, integer
        if not distilled.explained:
            say("no such student names the net's answers; it is handed on as it is")
            break
        say(f"{units} units for each of the frequencies {frequencies}: closing ratio {ratio:.2f}")
        if ratio <= params.closing_ratio:
            break
    assert best is not None
    return best[1], best[2]


def _rung(name: str, net: nn.Module, task: Task, note: str) -> Rung:
    numbers = list(net.state_dict().values())
    with torch.no_grad():
        answers = unique_argmax(net(torch.from_numpy(task.pairs())).numpy())
    size = sum(value.numel() for value in numbers)
    stored = sum(value.numel() * value.element_size() for value in numbers)
    return Rung(name, size, stored, int((answers != task.answers()).sum()), len(answers), note)


def _student_rung(name: str, student: Student, note: str) -> Rung:
    return Rung(name, student.parameters, student.bytes, student.wrong(), student.task.p**2, note)


def _size(net: Transformer) -> str:
    shape = net.config
    return f"{shape.n_heads} heads of {shape.d_head}, {shape.d_mlp} neurons, width {shape.d_model}"


def _line(rung: Rung) -> str:
    return f"{rung.name}: {rung.parameters:,} parameters, {rung.wrong:,} of {rung.inputs:,} wrong ({rung.note})"
