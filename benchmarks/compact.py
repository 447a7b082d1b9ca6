"""The compact proof against the exhaustive one as p grows.

    python -m benchmarks.compact --out compact.jsonl

One block of a student, 12 hidden units with features near (cos, sin)(2 pi (a + b) / p), is trained on the features
themselves and rounded to 7 bits as `compress.quantize` does; there is no teacher. Multiplication by k permutes the
residues of a prime p, so the same block at (k a, k b) has frequency k: a student is four copies of it. Their
frequencies are those with the most `headroom` among 2,000 random choices. A stopped command goes on from --out.

Costs are `compact : exhaustive`, medians over the seeds. Steps are integer multiply-adds. Seconds are of one thread:
`numpy` in 64-bit integers, search for the witness and residuals against all logits; `Python` bare, the check of the
evidence against all logits. `Z3` is its process from start to end, in seconds of wall-clock time.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from operator import add, mul
from pathlib import Path

import numpy as np
import torch

from benchmarks.lines import append, read
from benchmarks.timing import cost_of
from compress.blocks import power_loss, starting_blocks, targets
from compress.distill import Distilled
from compress.quantize import QuantizeOptions, largest, quantize_student
from compress.student import Student, cosine_readout, narrowest, save_student
from compress.teacher import Teacher, headroom
from pipeline.command_line import Parser, output_file
from pipeline.errors import reported
from pipeline.tasks import ModularTask
from verify import checker
from verify.compact import block, prove_compact
from verify.exact_net import ExactNet, Ints, load_exact_net, unique_argmax
from verify.programs import Program, cosine_table, extract
from verify.solver import Budget

UNITS, FREQUENCIES, RESTARTS, STEPS, RATE = 12, 4, 2, 600, 0.02
SOLVER_SECONDS = 60.0


class Arithmetic(Teacher):
    """The task itself as a teacher: its answers without the p^3 logits."""

    @property
    def answers(self) -> np.ndarray:
        return self.task.answers()


@dataclass(frozen=True)
class Row:
    """One student: is it Proved, does the check accept and does exhaustive evaluation agree, and what each cost."""

    p: int
    seed: int
    trained_in: float
    verdict: str
    ratio: float
    accepted: bool
    right: bool
    steps: tuple[int, int]
    numpy: tuple[float, float]
    python: tuple[float, float]
    solver: float


def train_block(task: ModularTask, seed: int) -> Distilled:
    """The best of a few blocks of frequency 1: least squares on a quarter of the rows, then L4, then L8, as distill."""
    p = task.p
    generator = torch.Generator().manual_seed(seed)
    ones = [1] * RESTARTS
    blocks = starting_blocks(p, task.sign, ones, UNITS, generator).leaves()
    teacher = Arithmetic(task, np.zeros((0, p)), np.ones(p * p, dtype=bool))
    wanted = targets(torch.from_numpy(teacher.answers).view(p, p), p, ones)
    optimizer = torch.optim.Adam(blocks.parameters(), lr=RATE, betas=(0.9, 0.99))
    for step in range(STEPS):
        done = step / STEPS
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, 1.5 * (1 - done))
        rows = torch.randperm(p, generator=generator)[: p // 4] if done < 0.7 else torch.arange(p)
        power = 2 if done < 0.35 else 4 if done < 0.5 else 8
        loss = power_loss(blocks.features(rows) - wanted[:, rows], torch.ones(len(rows), p), power)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        best = int((blocks.features() - wanted).square().sum(-1).amax((1, 2)).argmin())
    return Distilled(teacher, (1,), blocks.select([best]), True, np.ones(p * p, dtype=bool))


def copies(one: Student, frequencies: Sequence[int]) -> Student:
    """The block of frequency 1, read at k a and k b, for every k: a student of several frequencies."""
    p, residues, count = one.task.p, np.arange(one.task.p), len(frequencies)
    mix = np.kron(np.eye(count, dtype=np.int64), one.mix)
    readout = np.rint(largest(QuantizeOptions().readout_bits) * cosine_readout(p, tuple(frequencies)))
    return replace(
        one,
        frequencies=tuple(frequencies),
        left=np.concatenate([one.left[k * residues % p] for k in frequencies], axis=1),
        mix=narrowest(mix.astype(np.int64)),
        offset=np.tile(one.offset, count),
        readout=narrowest(readout.astype(np.int64)),
    )


def roomy(p: int, count: int) -> tuple[int, ...]:
    """`count` frequencies with the most headroom among 2,000 random choices, always the same ones for a p."""
    random = np.random.default_rng(0)
    chosen = (random.choice(np.arange(1, p // 2 + 1), min(count, p // 2), replace=False) for _ in range(2000))
    return max((tuple(sorted(int(k) for k in ks)) for ks in chosen), key=lambda ks: headroom(p, ks))


def every_logit(net: ExactNet) -> Ints:
    """The exhaustive evaluation, with the same features as the compact proof: answers, [p, p]."""
    pairs = [(i, i + 1) for i in range(0, net.offset.size, 2)]
    features = np.concatenate([block(net, pair, np.arange(net.p)) for pair in pairs], axis=-1)
    return np.stack([unique_argmax(row @ net.readout) for row in features])


def every_logit_in_python(net: ExactNet) -> bool:
    """The same in bare Python, as a checker has to do it: is every answer right?"""
    left, right, offset = net.left.tolist(), net.right.tolist(), net.offset.tolist()
    columns = [(np.flatnonzero(column).tolist(), column[np.flatnonzero(column)].tolist()) for column in net.mix.T]
    answers = net.readout.T.tolist()
    for a in range(net.p):
        for b in range(a if net.symmetric else 0, net.p):
            hidden = [h if h > 0 else 0 for h in map(add, left[a], right[b])]
            features = [
                sum(map(mul, [hidden[j] for j in units], weights), start)
                for (units, weights), start in zip(columns, offset, strict=True)
            ]
            logits = [sum(map(mul, features, answer)) for answer in answers]
            top = max(logits)
            if logits.count(top) != 1 or logits.index(top) != (a + net.sign * b) % net.p:
                return False
    return True


def trained(p: int, seed: int, directory: Path) -> tuple[ExactNet, Program, int, float]:
    """A student, read back from its file, its program, its seed and the seconds of its training."""
    began = time.process_time()
    student = copies(quantize_student(train_block(ModularTask(p, "addition"), seed)), roomy(p, FREQUENCIES))
    seconds = time.process_time() - began
    path = directory / f"student-{p}-{seed}.safetensors"
    save_student(path, student)
    # `verify.extract` reads the same frequencies off p^3 logits, which is what is to be avoided here.
    program = Program(p, 1, student.frequencies, (1,) * len(student.frequencies), cosine_table(p))
    return load_exact_net(path), program, seed, seconds


def measure_net(net: ExactNet, program: Program, seed: int = 0, trained_in: float = 0.0) -> Row:
    """Both proofs of one student; the first call of each is a warm-up."""
    tables = {name: getattr(net, name).tolist() for name in ("left", "right", "mix", "offset", "readout")}
    student = checker.Student(tables, 0, net.p, net.sign)
    prove_compact(net, program, Budget.of(SOLVER_SECONDS))
    found = prove_compact(net, program, Budget.of(SOLVER_SECONDS))
    truth = bool((every_logit(net) == net.sums()).all())

    def accepted() -> bool:
        if found.evidence is None:
            return False
        checker.check_compact(student, found.evidence)
        return True

    return Row(
        net.p,
        seed,
        trained_in,
        type(found.verdict).__name__,
        found.ratio,
        accepted(),
        truth,
        (found.cost.compact, found.cost.exhaustive),
        (found.cost.evaluating, cost_of(lambda: every_logit(net)).cpu),
        (cost_of(accepted).cpu, cost_of(lambda: every_logit_in_python(net)).cpu),
        found.cost.solving,
    )


def table(rows: Sequence[Row]) -> str:
    """One line a modulus, medians over its students, and the exponents of growth: slopes of log cost over log p."""
    head = "| p | Proved | accepted | right | margin / bound | steps, millions | numpy, s | Python, s | Z3 | training |"
    lines = [head, "|" + " --- |" * head.count(" |")]
    sizes = sorted({row.p for row in rows})
    costs = []
    for p in sizes:
        of = [row for row in rows if row.p == p]
        costs.append(np.median([(*row.steps, *row.numpy, *row.python) for row in of], axis=0))
        steps, numpy, python = costs[-1].reshape(3, 2)
        counts = [
            sum(row.verdict == "Proved" for row in of),
            sum(row.accepted for row in of),
            sum(row.right for row in of),
        ]
        ratios = [row.ratio for row in of]
        lines.append(
            f"| {p} | {' | '.join(f'{n}/{len(of)}' for n in counts)} | {min(ratios):.2f} to {max(ratios):.2f} "
            f"| {steps[0] / 1e6:.2f} : {steps[1] / 1e6:.1f} | {numpy[0]:.3f} : {numpy[1]:.3f} "
            f"| {python[0]:.2f} : {python[1]:.2f} "
            f"| {np.median([row.solver for row in of]):.2f} | {np.median([row.trained_in for row in of]):.0f} |"
        )
    if len(sizes) > 1:
        slopes = np.polyfit(np.log(sizes), np.log(np.array(costs)), 1)[0].reshape(3, 2)
        cells = " | ".join(f"{compact:.2f} : {every:.2f}" for compact, every in slopes)
        lines.append(f"| exponent | | | | | {cells} | | |")
    return "\n".join(lines)


def main() -> int:
    parser = Parser(prog="python -m benchmarks.compact", description=__doc__)
    parser.add_argument("--p", default="59,113,251,509", help="primes, with commas between")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--out", type=output_file, required=True, help="append every student here, leave out what is there"
    )
    parser.add_argument("--student", nargs="*", default=[], help="student files to measure besides")
    options = parser.parse_args()
    torch.set_num_threads(1)
    asked = [(int(p), seed) for p in options.p.split(",") for seed in range(options.seeds)]
    rows = {(row.p, row.seed): row for row in (Row(**record) for record in read(options.out))}
    with tempfile.TemporaryDirectory() as scratch:
        for p, seed in asked:
            if (p, seed) not in rows:
                rows[p, seed] = measure_net(*trained(p, seed, Path(scratch)))
                append(options.out, asdict(rows[p, seed]))
    print(table([rows[key] for key in asked]))
    for path in options.student:
        net = load_exact_net(path)
        print(f"\n{path}\n\n{table([measure_net(net, extract(net))])}")
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.compact", main))
