"""All the proofs about one net, written into one directory: program.py, certificate.json and obligations/."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError
from verify import checker
from verify.certificate import Certificate
from verify.claims import Kind, Proved, Refuted, Verdict
from verify.exact_net import ExactNet, file_sha256, load_exact_net
from verify.float_net import load_float_net
from verify.programs import Program, extract, load_program
from verify.prove import Result, check_trained, overall, prove_program, prove_student, silent
from verify.solver import Budget, Progress

EXIT_BAD_INPUT = 64
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
        _free(Path(out_dir))
    budget = Budget.of(timeout)
    if net is not None and program is not None:
        progress(f"program: frequencies {program.frequencies}, amplitudes {program.amplitudes}")
        results.append(prove_program(program, budget, progress))
        results.append(prove_student(net, program, results[0], budget, progress))
    if trained is not None:
        progress("evaluating the trained net on every input")
        results += check_trained(trained, net)
    p, sign = (net.p, net.sign) if net is not None else (trained.p, trained.sign)  # type: ignore[union-attr]
    with _directory(Path(out_dir) if out_dir is not None else None) as directory:
        if program is not None:
            (directory / "program.py").write_text(program.render())
            files["program"] = file_sha256(directory / "program.py")
        certificate = Certificate(p, sign, files, tuple(results), overall(results))
        certificate.write(directory)
        rejection = _rejection(directory, student_path, program)
        if rejection:
            # Proved is said only when the checker agrees.
            results = [r.doubted(f"the checker: {rejection}") if r.claim.kind in _CHECKED else r for r in results]
            certificate = Certificate(p, sign, files, tuple(results), overall(results))
            certificate.write(directory)
        progress(f"checker: {rejection or 'accepted'}")
    return Summary(certificate.verdict, tuple(results), certificate, program, net)


_CHECKED = (Kind.PROGRAM, Kind.STUDENT)


def _same_task(name: str, got: tuple[int, int], expected: tuple[int, int]) -> None:
    if got != expected:
        raise UserError(f"{name} = p, sign {got}: the student has {expected}, give files of one task")


def _rejection(directory: Path, student: Path | str | None, program: Program | None) -> str:
    """Why the checker does not accept what was written; empty if it does."""
    try:
        checker.check(directory / "certificate.json", student, directory / "program.py" if program else None)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def _free(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"out = {out}: a file is there, name a directory")
    if out.is_dir() and any(out.iterdir()) and not (out / "certificate.json").is_file():
        raise UserError(f"out = {out}: a directory that holds no certificate is not replaced, name a new one")


@contextmanager
def _directory(out: Path | None) -> Iterator[Path]:
    """A directory to fill that takes the place of `out` at the end; a scratch one without `out`."""
    if out is None:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch)
        return
    temporary = None
    try:
        out = out.resolve()
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        temporary.chmod(0o755)
        yield temporary
        if out.exists():
            shutil.rmtree(out)
        os.replace(temporary, out)
    except OSError as error:
        raise UserError(f"out = {out}: cannot be written: {error.strerror}") from None
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
