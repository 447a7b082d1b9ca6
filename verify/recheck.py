"""A certificate's chain, link by link, after everything that it says was checked in this very run.

The files that it names are found by their hashes, the independent checker recomputes every claim from them, formulas
are made again (`remake`), and a task's reference machine is the task's own. What was not checked is called so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.tasks.streaming import stream_task_from
from verify import checker
from verify.remake import listed, machine_of, not_made_again

UNCHECKED = "NOT CHECKED"
PLACES = ("runs", "compressed")
MOST_FILES = 20_000


@dataclass(frozen=True)
class Rechecked:
    """Lines to print, why the verdict does not stand (empty where it does), and the exit status.

    The status is 0 for Proved, 1 for Refuted, 2 for Unknown and for what is not checked or not accepted.
    """

    lines: tuple[str, ...]
    doubts: tuple[str, ...]
    status: int


def recheck(
    proof: Path | str, given: Sequence[Path] = (), progress: Callable[[str], None] = lambda line: None
) -> Rechecked:
    """Of a proof's directory, or its certificate.json; `given` are files that it must name, and others are looked for.

    Raises UserError where there is no certificate to speak of, or where it does not name a file that is given.
    """
    path = Path(proof)
    path = path / "certificate.json" if path.is_dir() else path
    try:
        certificate = checker.parse(checker.read(path))
        hashes = {str(subject): str(entry["sha256"]) for subject, entry in certificate["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, checker.Rejected) as error:
        what = f"{type(error).__name__} {error}"
        raise UserError(f"{path} = no certificate ({what}): write one with python -m verify prove") from None
    found = find(hashes, path, given)
    missing = sorted(set(hashes) - set(found))
    if not found:
        return _refused(f"none of the files is here that the certificate names: {', '.join(missing)}")
    progress(f"the independent checker evaluates {len(set(found.values()))} files: a net takes some ten seconds")
    try:
        judged = checker.judge(path, list(dict.fromkeys(found.values())))
    except checker.Rejected as error:
        return _refused(f"the checker rejects the certificate: {error}")
    rows = [(one.name, _claim(one, entry)) for one, entry in zip(judged.claims, certificate["claims"], strict=True)]
    rows += [(one.name, f"{one.state}: {one.how}") for one in judged.beside]
    doubts = [f"not confirmed: {one.name}: {one.how}" for one in judged.findings if not one.stands]
    if lacking := sorted({subject for one in judged.unchecked for subject in one.missing}):
        doubts.append(f"not found: {', '.join(lacking)}")
    if judged.on_trust and not _own_reference(certificate):
        doubts.append("the reference machine, a right answer or an equation is not the task's own")
    if known := listed(certificate):
        others = not_made_again(certificate, found)
        same = f"{len(known) - len(others)} of {len(known)} are those that the prover makes of these files"
        rows.append(("formulas", f"{same}; what the solver said of them is as the certificate has it"))
        doubts += [f"not made again: {', '.join(others)}"] if others else []
    rows += [("weakest link", _weakest(judged, certificate))]
    said = certificate["verdict"]["verdict"]
    rows += [("verdict", f"{UNCHECKED}: {'; '.join(doubts)}" if doubts else _said(certificate["verdict"]))]
    lines, plain = _aligned(rows), tuple(map(checker.plain, doubts))
    return Rechecked(lines, plain, 2 if doubts else ("Proved", "Refuted", "Unknown").index(said))


def _refused(doubt: str) -> Rechecked:
    return Rechecked(_aligned([("verdict", f"{UNCHECKED}: {doubt}")]), (checker.plain(doubt),), 2)


def find(hashes: dict[str, str], certificate: Path, given: Sequence[Path]) -> dict[str, Path]:
    """By subject, a file of its hash: of those given, beside the certificate, or in runs/ and compressed/."""
    wanted, found = dict[str, list[str]](), dict[str, Path]()
    for subject, digest in hashes.items():
        wanted.setdefault(digest, []).append(subject)
    for path in given:
        digest = _digest(path)
        if digest is None:
            raise UserError(f"{path} = unreadable, or too large: give a net or a program")
        if digest not in wanted:
            raise UserError(f"{path}: the certificate names no file of its hash, {digest}")
        found |= dict.fromkeys(wanted[digest], path)
    for path in islice(_candidates(certificate), MOST_FILES):
        if len(found) == len(hashes):
            break
        found |= dict.fromkeys(wanted.get(_digest(path) or "", ()), path)
    return found


def _digest(path: Path) -> str | None:
    """The hash of a file of a size that the checker reads; None where it is none."""
    try:
        return checker.sha256(checker.read(path))
    except (OSError, checker.Rejected):
        return None


def _candidates(certificate: Path) -> Iterator[Path]:
    """Nets and programs near a certificate; those of the run that it is called after come first."""
    here = certificate.resolve().parent
    yield from _within([here])
    roots = list(dict.fromkeys([Path.cwd(), *here.parents[:3]]))
    names = (here.name, here.parent.name)
    likely = [root / place / name for root in roots for place in PLACES for name in names]
    yield from _within(likely)
    yield from _within(root / place for root in roots for place in PLACES)


def _within(directories: Iterable[Path]) -> Iterator[Path]:
    for directory in directories:
        if directory.is_dir():
            yield from sorted(directory.rglob("*.safetensors"), reverse=True)
            yield from sorted(directory.glob("program.py"))


def _claim(found: checker.Finding, entry: dict[str, Any]) -> str:
    """What was found of a claim; of what was not confirmed, not what the certificate says."""
    match found.state:
        case checker.ACCEPTED if found.said == "Proved":
            return f"{_said(entry['verdict'])}, {found.how}{_margin(entry['measured'])}"
        case checker.ACCEPTED:
            return f"{found.said}: {found.how}"
        case checker.OPEN:
            return _said(entry["verdict"])
        case checker.UNCHECKED:
            return found.how
        case _:
            return f"NOT CONFIRMED, {found.state}: {found.how}"


def _said(verdict: dict[str, Any]) -> str:
    if verdict["verdict"] == "Refuted":
        return f"Refuted: {verdict['counterexample']['equation']}"
    return f"{verdict['verdict']} ({' '.join((verdict.get('method') or verdict['reason']).split())})"


def _smallest(measured: dict[str, Any]) -> float | None:
    """The margin over its bound that the prover measured; it proves nothing, and nobody has checked it."""
    over = measured.get("margin_over_bound")
    smallest: Any = over.get("smallest") if isinstance(over, dict) else None
    known = isinstance(smallest, int | float) and not isinstance(smallest, bool) and abs(smallest) < 1e300
    return float(smallest) if known else None


def _margin(measured: dict[str, Any]) -> str:
    smallest = _smallest(measured)
    return "" if smallest is None else f"; the prover measured a margin of {smallest:g} bounds"


def _weakest(judged: checker.Judgement, certificate: dict[str, Any]) -> str:
    """What is not confirmed before Refuted before Unknown before Proved; of the proved the least margin over bound."""

    def strength(link: tuple[checker.Finding, dict[str, Any]]) -> tuple[int, float]:
        found, entry = link
        if not found.stands or found.state == checker.UNCHECKED:
            return 0, 0.0
        return 1 + ("Refuted", "Unknown", "Proved").index(found.said), _smallest(entry["measured"]) or float("inf")

    beside = ("compact", "radius")
    links = zip(judged.claims, certificate["claims"], strict=True)
    found, entry = min((link for link in links if link[1]["claim"]["kind"] not in beside), key=strength)
    if not found.stands or found.state == checker.UNCHECKED:
        return f"{found.name}: {UNCHECKED}"
    return f"{found.name}: {found.said}{_margin(entry['measured'])}"


def _own_reference(certificate: dict[str, Any]) -> bool:
    """Whether reference and right answers in a certificate about streams are those of the task itself."""
    try:
        about = certificate["task"]
        task = stream_task_from(about["options"])
        if [task.key, task.n_left, task.n_right, task.n_answers] != [
            about[name] for name in ("key", "n_left", "n_right", "n_answers")
        ]:
            return False
        entries = [certificate, *certificate["claims"]]
        for part in (entry.get(name) or {} for entry in entries for name in ("evidence", "measured")):
            if part.get("reference") is not None and machine_of(part["reference"]).minimised() != task.machine():
                return False
        examples = [e["verdict"]["counterexample"] for e in entries if e["verdict"]["verdict"] == "Refuted"]
        for e in examples:
            stream = tuple((a, b) for a, b in e["stream"])
            equation = task.equation(stream, e["got"])
            words = (equation, equation.replace("the net says", "the machine says"))
            if task.reference(stream) != e["expected"] or e["equation"] not in words:
                return False
        return True
    except (UserError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        return False


def _aligned(rows: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    wide = max(len(name) for name, _ in rows)
    return tuple(checker.plain(f"{name:<{wide}}  {said}") for name, said in rows)
