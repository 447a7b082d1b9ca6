"""All the proofs about one net, written into one directory: program.py, certificate.json and obligations/."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.files import check_writable, fresh_directory
from verify import checker
from verify.certificate import OBLIGATIONS, Certificate, Entry, described
from verify.chain import overall
from verify.claims import Proved, Refuted, Subject, Verdict, on_pairs
from verify.compact import prove_compact
from verify.doubts import doubted, doubts, standing
from verify.exact_net import ExactNet, file_sha256, load_exact_net
from verify.float_student import FloatStudent, load_float_student
from verify.links import Answers, agree, chain, refuted, unchanged, unchanged_student
from verify.programs import Program, extract, load_program
from verify.prove import prove_program, prove_student
from verify.real_net import RealNet, load_real_net
from verify.results import Result, rounded
from verify.robust import BITS, robustness
from verify.rounding import analyse
from verify.solver import Budget, Progress, silent
from verify.specification import Specification

LONGEST = 1_000_000


@dataclass(frozen=True)
class Nets:
    """Paths of what a chain is about; each may be left out, but not all."""

    trained: Path | None = None
    pruned: Path | None = None
    student: Path | None = None
    integer: Path | None = None
    program: Path | None = None

    @property
    def given(self) -> list[Path]:
        every = (self.trained, self.pruned, self.student, self.integer, self.program)
        return [path for path in every if path is not None]


@dataclass(frozen=True)
class Loaded:
    """The same, read and checked to be of one task."""

    task: Specification
    trained: RealNet | None
    pruned: RealNet | None
    student: FloatStudent | None
    integer: ExactNet | None
    program: Program | None


@dataclass(frozen=True)
class Summary:
    """What a run of the proofs came to."""

    verdict: Verdict
    results: tuple[Result, ...]
    certificate: Certificate
    program: Program | None

    @property
    def exit_code(self) -> int:
        """0 Proved, 1 Refuted, 2 Unknown."""
        return 0 if isinstance(self.verdict, Proved) else 1 if isinstance(self.verdict, Refuted) else 2

    def lines(self) -> list[str]:
        """The claims with their verdicts, then the chain."""
        claims = [f"{result.claim.name}: {result.verdict}" for result in self.results]
        return [*claims, f"verdict: {self.verdict}"]


def verify_run(nets: Nets, out_dir: Path | str | None, timeout: float = 300.0, progress: Progress = silent) -> Summary:
    """Extracts the program (unless one is given), proves every link, lets the checker check, writes `out_dir`.

    Without an `out_dir` nothing is kept. `timeout` is wall-clock seconds for the solver, all obligations together.
    What the checker does not confirm is Unknown, claim by claim. Raises UserError on bad input, with nothing written.
    """
    if not 0 <= timeout <= LONGEST:
        raise UserError(f"timeout = {timeout}: seconds from 0 to {LONGEST}")
    loaded = load(nets)
    if out_dir is not None:
        free(Path(out_dir), nets.given)
    results, answers = prove(loaded, Budget.of(timeout), progress)
    paths = {
        Subject.INTEGER: nets.integer,
        Subject.STUDENT: nets.student,
        Subject.PRUNED: nets.pruned,
        Subject.TRAINED: nets.trained,
    }
    words = {subject.value: described(path) for subject, path in paths.items() if path is not None}
    evaluated = zip(paths, (loaded.integer, loaded.student, loaded.pruned, loaded.trained), strict=True)
    files = {subject.value: net.sha256 for subject, net in evaluated if net is not None}
    with output_directory(Path(out_dir) if out_dir is not None else None) as directory:
        given = [path for path in paths.values() if path is not None]
        if loaded.program is not None:
            (directory / "program.py").write_text(loaded.program.render())
            files[Subject.PROGRAM.value] = file_sha256(directory / "program.py")
            given.append(directory / "program.py")

        def certificate(results: Sequence[Result]) -> Certificate:
            return Certificate(loaded.task.to_dict(), files, words, tuple(map(Entry.of, results)), overall(results))

        progress("the checker evaluates every file on its own")
        made: dict[Any, Any] = {}
        names = [result.claim.name for result in results]
        results = standing(
            results,
            lambda results: certificate(results).write(directory),
            lambda: doubts(directory, given, names, made),
            progress,
            lambda result, doubt: elsewhere(result, doubt, answers),
        )
        written = certificate(results)
    return Summary(written.verdict, tuple(results), written, loaded.program)


def load(nets: Nets) -> Loaded:
    """Every file that is given, and the program read off the integer student where none is."""
    if not {nets.trained, nets.integer} - {None}:
        raise UserError("student, trained = none: give at least one of them")
    if nets.program is not None and nets.integer is None:
        raise UserError(f"program = {nets.program}: give the integer student that it was read off")
    integer = load_exact_net(nets.integer) if nets.integer else None
    program = load_program(nets.program) if nets.program else extract(integer) if integer else None
    student = load_float_student(nets.student) if nets.student else None
    reals = [load_real_net(path) if path else None for path in (nets.trained, nets.pruned)]
    found: dict[str, Specification] = {}
    for name, net in (("program", program), ("integer student", integer), ("student", student)):
        if net is not None:
            found[name] = Specification.of(net)
    for name, real in zip(("trained net", "pruned net"), reals, strict=True):
        if real is not None:
            found[name] = real.task
    first, expected = next(iter(found.items()))
    for name, got in found.items():
        if got != expected:
            raise UserError(f"{name} = {got.name}: the {first} computes {expected.name}, give files of one task")
    return Loaded(expected, reals[0], reals[1], student, integer, program)


def prove(loaded: Loaded, budget: Budget, progress: Progress) -> tuple[list[Result], list[Answers]]:
    """Every claim of the chain and what stands beside it, and what each subject of the chain answers."""
    results = list[Result]()
    links: list[Answers] = []
    beside: list[Result] = []
    if loaded.integer is not None and loaded.program is not None:
        program, net = loaded.program, loaded.integer
        progress(f"program: frequencies {program.frequencies}, amplitudes {program.amplitudes}")
        results.append(prove_program(program, budget, progress))
        results.append(prove_student(net, program, results[0], budget, progress))
        links.append(Answers.of(net))
        beside = [_compact(net, program, budget, progress), *_radius(net, progress)]
    if loaded.student is not None:
        links.append(Answers.of(loaded.student))
        beside.append(unchanged_student(loaded.student))
    for subject, real in ((Subject.PRUNED, loaded.pruned), (Subject.TRAINED, loaded.trained)):
        if real is not None:
            progress(f"evaluating the {subject.value} on every input, and what float32 can change")
            report = analyse(real)
            links.append(Answers.enclosed(subject, report))
            beside.append(unchanged(subject, report))
    results += chain(links)
    arithmetic = Answers.arithmetic(loaded.task)
    if loaded.trained is not None:
        results.append(agree(links[-1], arithmetic))
    return [*results, *beside], [*links, arithmetic]


def elsewhere(result: Result, doubt: checker.Finding, answers: Sequence[Answers]) -> Result:
    """Doubted; or refuted by an input of which the checker is certain, where its bounds leave the first one open."""
    by_subject = {one.subject.value: one for one in answers}
    sides = [by_subject.get(str(value)) for _, value in result.claim.fields if result.claim.kind == "equals"]
    if isinstance(result.verdict, Refuted) and len(sides) == 2 and sides[0] and sides[1] and doubt.elsewhere:
        found = refuted(sides[0], sides[1], doubt.elsewhere)
        if found is not None:
            return replace(result, verdict=found)
    return doubted(result, doubt)


def _compact(net: ExactNet, program: Program, budget: Budget, progress: Progress) -> Result:
    claim = on_pairs("compact", Specification.of(net), net=Subject.INTEGER.value)
    found = prove_compact(net, program, budget, progress)
    evidence = {"by": "residuals", **found.evidence} if found.evidence is not None else {}
    steps = {"compact": found.cost.compact, "exhaustive": found.cost.exhaustive}
    measured = {"margin_over_bound": {"median": None, "smallest": rounded(found.ratio)}, "steps": steps}
    return Result(claim, found.verdict, found.outcomes, evidence, measured)


def _radius(net: ExactNet, progress: Progress) -> list[Result]:
    """The smallest radius; no claim where the student is right nowhere, or its weights are too large for 64 bits."""
    try:
        report = robustness(net)
    except UserError as error:
        progress(f"no radius: {error}")
        return []
    if not report.right:
        return []
    numerator = int(report.smallest.lower * (1 << BITS))
    fields = {"net": Subject.INTEGER.value, "numerator": numerator, "bits": BITS, "right": report.right}
    measured = {"median": rounded(float(report.median.lower)), "smallest": rounded(float(report.smallest.lower))}
    claim = on_pairs("radius", Specification.of(net), **fields)
    return [Result(claim, report.verdict, (), {"by": "least lead"}, measured)]


_OURS = {"certificate.json", "program.py", OBLIGATIONS}


def free(out: Path, inputs: Sequence[Path | str]) -> None:
    """Refuse an `out` that cannot be written, or is not ours to replace: only an old proof is, without inputs in it."""
    check_writable(out)
    target = out.resolve()
    if target.exists() and not target.is_dir():
        raise UserError(f"out = {out}: a file is there, name a directory")
    for path in inputs:
        if target in Path(path).resolve().parents and target.is_dir():
            raise UserError(f"out = {out}: {path} lies in it and would be replaced, name another")
    names = {entry.name for entry in target.iterdir()} if target.is_dir() else set()
    if names - _OURS or (names and "certificate.json" not in names):
        other = sorted(names - _OURS or names)[0]
        raise UserError(f"out = {out}: it holds something else than a proof ({other}), name a new one")


@contextmanager
def output_directory(out: Path | None) -> Iterator[Path]:
    """A directory to fill that takes the place of `out` at the end; a scratch one without `out`."""
    if out is None:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
        return
    with fresh_directory(out.resolve()) as directory:
        yield directory
