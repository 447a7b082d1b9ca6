"""All the proofs about one net, written into one directory: program.py, certificate.json and obligations/."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import fresh_directory
from verify import checker
from verify.certificate import OBLIGATIONS, Certificate
from verify.claims import Kind, Proved, Refuted, Verdict
from verify.exact_net import ExactNet, file_sha256, load_exact_net
from verify.float_net import load_float_net
from verify.programs import Program, extract, load_program
from verify.prove import Result, check_trained, overall, prove_program, prove_student, silent
from verify.solver import Budget, Progress

LONGEST = 1_000_000


@dataclass(frozen=True)
class Summary:
    """What a run of the proofs came to."""

    verdict: Verdict
    results: tuple[Result, ...]
    certificate: Certificate
    program: Program | None
    net: ExactNet | None

    @property
    def exit_code(self) -> int:
        """0 Proved, 1 Refuted, 2 Unknown."""
        return 0 if isinstance(self.verdict, Proved) else 1 if isinstance(self.verdict, Refuted) else 2

    def lines(self) -> list[str]:
        """The claims with their verdicts, then the chain."""
        claims = [f"{result.claim.kind.value}: {result.verdict}" for result in self.results]
        return [*claims, f"verdict: {self.verdict}"]


def verify_run(
    trained_path: Path | str | None,
    student_path: Path | str | None,
    out_dir: Path | str | None,
    timeout: float = 300.0,
    program_path: Path | str | None = None,
    progress: Progress = silent,
) -> Summary:
    """Extracts the program (unless one is given), proves every link, lets the checker check, writes `out_dir`.

    Without a student only the trained net is checked; without an `out_dir` nothing is kept. `timeout` is wall-clock
    seconds for the solver, all obligations together. Raises UserError on bad input, with nothing written.
    """
    if trained_path is None and student_path is None:
        raise UserError("student, trained = none: give at least one of them")
    if not 0 <= timeout <= LONGEST:
        raise UserError(f"timeout = {timeout}: seconds from 0 to {LONGEST}")
    if student_path is None and program_path is not None:
        raise UserError(f"program = {program_path}: give the student that it was read off")
    trained = load_float_net(trained_path) if trained_path is not None else None
    net = load_exact_net(student_path) if student_path is not None else None
    program, results, files = None, [], {}
    if net is not None:
        program = load_program(program_path) if program_path is not None else extract(net)
        files["student"] = net.sha256
        _same_task("program", (program.p, program.sign), (net.p, net.sign))
    if trained is not None:
        files["trained"] = trained.sha256
        if net is not None:
            _same_task("trained", (trained.p, trained.sign), (net.p, net.sign))
    if out_dir is not None:
        free(Path(out_dir), [path for path in (trained_path, student_path, program_path) if path is not None])
    budget = Budget.of(timeout)
    if net is not None and program is not None:
        progress(f"program: frequencies {program.frequencies}, amplitudes {program.amplitudes}")
        results.append(prove_program(program, budget, progress))
        results.append(prove_student(net, program, results[0], budget, progress))
    if trained is not None:
        progress("evaluating the trained net on every input")
        results += check_trained(trained, net)
    p, sign = (net.p, net.sign) if net is not None else (trained.p, trained.sign)  # type: ignore[union-attr]
    with output_directory(Path(out_dir) if out_dir is not None else None) as directory:
        if program is not None:
            (directory / "program.py").write_text(program.render())
            files["program"] = file_sha256(directory / "program.py")
        certificate = Certificate(p, sign, files, tuple(results), overall(results))
        certificate.write(directory)
        # Proved is said of program and student only when the checker agrees; it knows nothing of float32.
        rejection = _rejection(directory, student_path) if program is not None else ""
        if rejection:
            results = [r.doubted(f"the checker: {rejection}") if r.claim.kind in _CHECKED else r for r in results]
            certificate = Certificate(p, sign, files, tuple(results), overall(results))
            certificate.write(directory)
        if program is not None:
            progress(f"checker: {rejection or 'it comes to the same verdicts on program and student'}")
    return Summary(certificate.verdict, tuple(results), certificate, program, net)


_CHECKED = (Kind.PROGRAM, Kind.STUDENT)


def _same_task(name: str, got: tuple[int, int], expected: tuple[int, int]) -> None:
    if got != expected:
        raise UserError(f"{name} = p, sign {got}: the student has {expected}, give files of one task")


def _rejection(directory: Path, student: Path | str | None) -> str:
    """Why the checker does not accept what was written; empty if it does."""
    try:
        checker.check(directory / "certificate.json", student, directory / "program.py")
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


_OURS = {"certificate.json", "program.py", OBLIGATIONS}


def free(out: Path, inputs: Sequence[Path | str]) -> None:
    """Refuse an `out` that is not ours to replace: only an old proof is, and only where no input lies in it."""
    try:
        target = out.resolve()
        if target.exists() and not target.is_dir():
            raise UserError(f"out = {out}: a file is there, name a directory")
        if target == Path.cwd() or target in Path.cwd().parents:
            raise UserError(f"out = {out}: the working directory lies in it, name another")
        for path in inputs:
            if target in Path(path).resolve().parents and target.is_dir():
                raise UserError(f"out = {out}: {path} lies in it and would be replaced, name another")
        names = {entry.name for entry in target.iterdir()} if target.is_dir() else set()
        if names - _OURS or (names and "certificate.json" not in names):
            other = sorted(names - _OURS or names)[0]
            raise UserError(f"out = {out}: it holds something else than a proof ({other}), name a new one")
        target.parent.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise UserError(f"out = {out}: cannot be written: {getattr(error, 'strerror', None) or error}") from None


@contextmanager
def output_directory(out: Path | None) -> Iterator[Path]:
    """A directory to fill that takes the place of `out` at the end; a scratch one without `out`."""
    if out is None:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
        return
    try:
        with fresh_directory(out.resolve()) as directory:
            yield directory
    except OSError as error:
        raise UserError(f"out = {out}: cannot be written: {error.strerror}") from None
