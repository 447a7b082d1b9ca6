"""Certificates forged by hand: the checker rejects each, or says what it did not check; `verify chain` never prints it.

A forger may write any certificate, any file of formulas and any program, and may put the right hashes everywhere. He
does not choose which nets lie where a reader looks for them.
"""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.by_hand import adder, hand_built, parity, write_net, write_snapshot, write_student
from pipeline.errors import UserError
from pipeline.tasks.streaming import stream_task
from stages.report.checks import checked
from verify import Nets, checker, verify_run
from verify.__main__ import main
from verify.stream_run import verify_stream

Text = dict[str, Any]
REJECTED, UNCHECKED, OTHER = 1, 2, 3
ZERO = "0" * 64


class Proof:
    """A proof with its nets in a directory of their own, to be forged in place."""

    def __init__(self, root: Path) -> None:
        self.root, self.certificate = root, root / "proof" / "certificate.json"
        self.text: Text = json.loads(self.certificate.read_text())

    @property
    def nets(self) -> list[Path]:
        return sorted((self.root / "nets").iterdir())

    def write(self) -> None:
        self.certificate.write_text(json.dumps(self.text, sort_keys=True))

    def claim(self, name: str) -> Text:
        kinds = checker.NAMES
        return next(e for e in self.text["claims"] if kinds[e["claim"]["kind"]].format(**e["claim"]) == name)

    def formula(self, file: str, text: str) -> str:
        """Another text under the right hash; the file that was changed."""
        for entry in self.text["claims"]:
            for o in entry["obligations"]:
                if file in ("", o["file"]):
                    (self.root / "proof" / o["file"]).write_text(text)
                    for other in (o for e in self.text["claims"] for o in e["obligations"] if o["file"] == file):
                        other["sha256"] = checker.sha256(text.encode())
                    o["sha256"] = checker.sha256(text.encode())
                    return o["file"]
        raise AssertionError(file)

    def check(self, *options: str, files: list[Path] | None = None) -> int:
        """The checker's exit status."""
        program = self.root / "proof" / "program.py"
        given = self.nets if files is None else files
        words = [word for path in given for word in ("--net", str(path))]
        words += ["--program", str(program)] if program.exists() and files is None else []
        return checker.main([str(self.certificate), *words, *options])

    def chain(self, *options: str) -> int:
        words = [word for path in self.nets for word in ("--net", str(path))]
        return main(["chain", str(self.certificate), *(options or words)])


@pytest.fixture(scope="module")
def proofs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Right and wrong chains of pairs, an adder, parity and an adder that errs."""
    root = tmp_path_factory.mktemp("proofs")
    for name in ("pairs", "wrong", "adder", "parity", "erring", "erring parity"):
        (root / name / "nets").mkdir(parents=True)
    student = write_student(root / "pairs" / "nets" / "student.safetensors", hand_built(7), 7)
    for name in ("pairs", "wrong"):
        trained = write_snapshot(root / name / "nets" / "trained.safetensors", 7, swap=name == "wrong")
        verify_run(Nets(trained, integer=student if name == "pairs" else None), root / name / "proof", 60)
    erring = adder(3)
    erring["unembed.bias"] = erring["unembed.bias"] + [0, 0, 100]
    odd = parity(3)
    odd["unembed.bias"] = odd["unembed.bias"] + [0, 50]
    for name, tensors, task in (
        ("adder", adder(3), stream_task("addition", base=3)),
        ("erring", erring, stream_task("addition", base=3)),
        ("parity", parity(3), stream_task("parity")),
        ("erring parity", odd, stream_task("parity")),
    ):
        net = write_net(root / name / "nets" / "net.safetensors", tensors, task)
        verify_stream(net, root / name / "proof", 60)
    return {path.name: path for path in root.iterdir()}


@pytest.fixture
def forge(proofs: dict[str, Path], tmp_path: Path) -> Callable[[str], Proof]:
    """A copy of a proof."""

    def copied(name: str) -> Proof:
        shutil.copytree(proofs[name], tmp_path / name)
        return Proof(tmp_path / name)

    return copied


@pytest.mark.parametrize(
    ("name", "checked", "chained"),
    [("pairs", 0, 0), ("wrong", OTHER, 1), ("adder", 0, 0), ("erring", OTHER, 1), ("parity", UNCHECKED, 0)],
)
def test_what_is_not_forged(forge: Callable[[str], Proof], name: str, checked: int, chained: int) -> None:
    """Parity's reference machine is the certificate's to the checker, which stands alone, and the task's to `chain`."""
    proof = forge(name)
    assert proof.check() == checked
    assert proof.chain() == chained


def test_a_reference_is_accepted_by_name(forge: Callable[[str], Proof]) -> None:
    assert forge("parity").check("--accept-reference") == 0


@pytest.mark.parametrize("subject", ["trained net", "integer student"])
def test_what_is_left_out_is_accepted_by_name_only(
    forge: Callable[[str], Proof], subject: str, capsys: pytest.CaptureFixture[str]
) -> None:
    proof = forge("pairs")
    left_out = {"trained net": "trained.safetensors", "integer student": "student.safetensors"}[subject]
    files = [path for path in (*proof.nets, proof.root / "proof" / "program.py") if path.name != left_out]
    assert proof.check(files=files) == UNCHECKED
    assert "NOT CHECKED" in capsys.readouterr().out.splitlines()[-1]
    assert proof.check("--accept-unchecked", subject, files=files) == 0
    other = "program" if subject == "trained net" else "trained net"
    assert proof.check("--accept-unchecked", other, files=files) == UNCHECKED
    assert proof.check("--accept-unchecked", "everything", files=files) == 64


def zero_hashes(proof: Proof) -> None:
    for entry in proof.text["files"].values():
        entry["sha256"] = ZERO


def prove_all(proof: Proof) -> None:
    """Proved, with what belongs to it, of the wrong net."""
    for entry in proof.text["claims"]:
        kind = entry["claim"]["kind"]
        entry["verdict"] = {"verdict": "Proved", "method": checker.METHODS[kind]}
        entry["evidence"] = {"by": checker.EVIDENCE[kind][0]}
    proof.text["verdict"] = {"verdict": "Proved", "method": "arithmetic = trained net"}


def refute(proof: Proof) -> None:
    said = {"a": 1, "b": 1, "expected": 2, "got": 3, "equation": "1 + 1 = 2 (mod 7), the trained net says 3"}
    entry = proof.claim("trained net equals arithmetic")
    entry["verdict"], entry["evidence"] = {"verdict": "Refuted", "counterexample": said}, {}
    proof.text["verdict"] = entry["verdict"]


def open_all(proof: Proof) -> None:
    """Everything Unknown: nothing false, and nothing to check."""
    for entry in (*proof.text["claims"], proof.text):
        entry["verdict"] = {"verdict": "Unknown", "reason": "time"}
        if "evidence" in entry:
            entry["evidence"] = {}


def another_equation(proof: Proof) -> None:
    """The counterexample's words, not its numbers."""
    for entry in (proof.claim("trained net equals arithmetic"), proof.text):
        entry["verdict"]["counterexample"]["equation"] = "0 + 1 = 1 (mod 7), the trained net says 1"


def task(**changes: Any) -> Callable[[Proof], None]:
    """Another task, with its sentences."""

    def forged(proof: Proof) -> None:
        old = proof.text["task"]["key"]
        proof.text["task"].update(changes)
        for entry in proof.text["claims"]:
            entry["sentence"] = entry["sentence"].replace(f"of {old}", f"of {changes.get('key', old)}")

    return forged


def renamed(name: str) -> Callable[[Proof], None]:
    """The adder's task under another name; its header's is forged with it, below."""
    return task(key=f"{name}3", options={"name": name, "base": 3})


def solver(name: str, version: str = "5") -> Callable[[Proof], None]:
    return lambda proof: proof.text.update(solvers=[{"name": name, "version": version}])


def result(value: str) -> Callable[[Proof], None]:
    def forged(proof: Proof) -> None:
        next(o for e in proof.text["claims"] for o in e["obligations"])["result"] = value

    return forged


def subject_twice(proof: Proof) -> None:
    """The trained net is called the pruned one as well, so that they are equal."""
    text = proof.text
    text["files"]["pruned net"] = text["files"]["trained net"]
    text["nets"]["pruned net"] = text["nets"]["trained net"]


def smaller_modulus(proof: Proof) -> None:
    proof.text["task"].update(p=6, name="(a + b) mod 6")


def swapped_files(proof: Proof) -> None:
    files = proof.text["files"]
    files["trained net"], files["integer student"] = files["integer student"], files["trained net"]


def no_claims(proof: Proof) -> None:
    proof.text["claims"] = []


def no_files(proof: Proof) -> None:
    proof.text.update(files={}, nets={}, claims=[])


def own_reference(proof: Proof) -> None:
    """A machine that answers 0 to everything, with a reference that does, too."""
    for entry in proof.text["claims"]:
        for table in [entry["evidence"].get("machine"), entry["evidence"].get("reference")]:
            if table is not None:
                table["answers"] = [[[0] for _ in rows] for rows in table["answers"]]
    del proof.text["files"]["program"]
    (proof.root / "proof" / "program.py").unlink()
    for entry in proof.text["claims"][1:]:
        entry.update(verdict={"verdict": "Unknown", "reason": "time"}, evidence={}, obligations=[])
    proof.text["verdict"] = {"verdict": "Unknown", "reason": "time"}


def borrowed_formulas(proof: Proof) -> None:
    """What the solver was asked of the program is listed under a claim that it never saw."""
    entry = proof.claim("trained net equals arithmetic")
    entry["obligations"] = copy.deepcopy(proof.claim("program equals arithmetic")["obligations"])
    entry["verdict"]["method"] = "solver and exhaustive evaluation"


def more_closed(proof: Proof) -> None:
    """More steps closed by bounds than there are."""
    for o in proof.claim("net equals machine")["obligations"]:
        o["result"] = "999 of 1 closed by bounds"


def longer_reason(proof: Proof) -> None:
    open_all(proof)
    proof.text["claims"][0]["verdict"]["reason"] = ["not", "text"]


FORGERIES: dict[str, tuple[str, Callable[[Proof], object], int]] = {
    "every hash is zero": ("pairs", zero_hashes, REJECTED),
    "a wrong net is proved": ("wrong", prove_all, REJECTED),
    "a right net is refuted": ("pairs", refute, REJECTED),
    "everything is Unknown": ("pairs", open_all, OTHER),
    "a counterexample in other words": ("wrong", another_equation, REJECTED),
    "a Cyrillic letter in addition": ("adder", renamed("\u0430ddition"), REJECTED),
    "a blank before addition": ("adder", renamed(" addition"), REJECTED),
    "a capital in Addition": ("adder", renamed("Addition"), REJECTED),
    "a sentence that ends in addition": ("adder", renamed("sum of two numbers, addition"), REJECTED),
    "a zero-width space in addition": ("adder", renamed("addi\u200btion"), REJECTED),
    "a full-width letter in addition": ("adder", renamed("\uff41ddition"), REJECTED),
    "a line break in addition": ("adder", renamed("addition\n"), REJECTED),
    "a colour as a name": ("adder", renamed("\x1b[32madd"), REJECTED),
    "a name of options in capitals": ("parity", task(options={"name": "parity", "X": ""}), REJECTED),
    "an unknown solver": ("pairs", solver("oracle"), REJECTED),
    "a solver in capitals": ("pairs", solver("Z3"), REJECTED),
    "a solver's version with a colour": ("pairs", solver("z3", "4.15\x1b[1m"), REJECTED),
    "a solver's version in words": ("pairs", solver("z3", "the best"), REJECTED),
    "an open obligation of a Proved claim": ("pairs", result("unknown"), REJECTED),
    "an obligation that is satisfiable": ("pairs", result("sat"), REJECTED),
    "a solver's answer with a line of its own": ("pairs", result("unsat\naccepted: Proved"), REJECTED),
    "one net as two subjects": ("pairs", subject_twice, REJECTED),
    "a smaller modulus": ("pairs", smaller_modulus, REJECTED),
    "two files exchanged": ("pairs", swapped_files, REJECTED),
    "no claim at all": ("pairs", no_claims, REJECTED),
    "no file at all": ("pairs", no_files, REJECTED),
    "a reference machine of one's own": ("parity", own_reference, UNCHECKED),
    "formulas of another claim": ("pairs", borrowed_formulas, REJECTED),
    "more steps than there are": ("adder", more_closed, REJECTED),
    "a reason that is no text": ("pairs", longer_reason, REJECTED),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_not_accepted(
    forge: Callable[[str], Proof], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    which, change, status = FORGERIES[name]
    proof = forge(which)
    change(proof)
    proof.write()
    for file in proof.nets if change.__name__ == "forged" and which == "adder" else ():
        rename_header(file, proof.text["task"]["options"])
        proof.text["files"]["net"]["sha256"] = checker.sha256(file.read_bytes())
        proof.write()
    assert proof.check() == status
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert "\x1b" not in printed
    assert printed.count("\n") == 1 or status != REJECTED
    assert proof.chain() in (2, 64)
    printed = capsys.readouterr()
    assert (printed.out + printed.err).isascii()
    last = (printed.out or printed.err).splitlines()[-1]  # what it is doing goes to stderr as well
    assert "Proved" not in last
    assert "NOT CHECKED" in last or "Unknown" in last or "names no file" in last


def rename_header(path: Path, options: Text) -> None:
    """The net's own task, forged with the certificate's."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header["__metadata__"]["task"] = json.dumps(options)
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[start:])


@pytest.mark.parametrize("name", ["pairs", "adder"])
def test_nothing_is_proved_of_files_that_are_not_there(
    forge: Callable[[str], Proof], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Zero hashes, and none of the nets given: nothing that the certificate says of them is repeated."""
    proof = forge(name)
    zero_hashes(proof)
    proof.write()
    assert main(["chain", str(proof.certificate.parent)]) == 2
    out = capsys.readouterr().out
    assert "NOT CHECKED" in out
    assert "Proved" not in out


def test_files_are_found_by_their_hashes(
    forge: Callable[[str], Proof], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In runs/ and compressed/, under whatever name; another net of the right name is not taken."""
    proof = forge("pairs")
    work = proof.root / "work"
    (work / "runs" / "any").mkdir(parents=True)
    monkeypatch.chdir(work)
    assert main(["chain", str(proof.certificate)]) == 2
    assert "not found: integer student, trained net" in capsys.readouterr().out
    for i, path in enumerate(proof.nets):
        shutil.copy(path, work / "runs" / "any" / f"{i}.safetensors")
    assert main(["chain", str(proof.certificate)]) == 0
    write_snapshot(work / "runs" / "any" / "1.safetensors", 7, swap=True)
    assert main(["chain", str(proof.certificate)]) == 2
    assert "not found: trained net" in capsys.readouterr().out
    strange = work / "strange.safetensors"
    strange.write_bytes(b"no net")
    assert main(["chain", str(proof.certificate), "--net", str(strange)]) == 64
    assert main(["chain", str(proof.certificate), "--net", str(work / "none")]) == 64
    assert capsys.readouterr().err.count("\n") == 2


FORMULAS = {
    "a tautology": lambda text: "(set-logic QF_BV)\n(assert false)\n(check-sat)\n",
    "one assertion more": lambda text: text.replace("(check-sat)", "(assert false)\n(check-sat)"),
    "another comment": lambda text: f"; {text}",
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("which", ["pairs", "adder"])
def test_a_formula_is_one_that_the_prover_makes(
    forge: Callable[[str], Proof], which: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The checker, which reads none, says so; `chain` makes them again."""
    proof = forge(which)
    file = next(o["file"] for e in proof.text["claims"] for o in e["obligations"])
    proof.formula(file, FORMULAS[name]((proof.root / "proof" / file).read_text()))
    proof.write()
    assert proof.check() == 0
    assert any("not read" in line for line in capsys.readouterr().out.splitlines())
    assert proof.chain() == 2
    assert f"NOT CHECKED: not made again: {file}" in capsys.readouterr().out


def test_a_formula_too_many_is_not_one_of_the_prover(forge: Callable[[str], Proof]) -> None:
    proof = forge("pairs")
    entry = proof.claim("program equals arithmetic")
    entry["obligations"].append(
        {**entry["obligations"][0], "name": "program-more", "file": "obligations/program-more.smt2"}
    )
    proof.write()
    shutil.copy(
        proof.root / "proof" / entry["obligations"][0]["file"], proof.root / "proof/obligations/program-more.smt2"
    )
    assert proof.check() == 0
    assert proof.chain() == 2


ESCAPES = "\x1b]0;owned\x07\x1b[2K\rProved \u202edevorP \u0085\u2028"


def test_nothing_of_a_certificate_reaches_the_terminal_unescaped(
    forge: Callable[[str], Proof], capsys: pytest.CaptureFixture[str]
) -> None:
    proof = forge("pairs")
    open_all(proof)
    for entry in (*proof.text["claims"], proof.text):
        entry["verdict"]["reason"] = ESCAPES
    proof.write()
    assert proof.check() == OTHER
    assert proof.chain() == 2
    proof.text[ESCAPES] = proof.text.pop("solvers")
    proof.write()
    assert proof.check() == REJECTED
    assert proof.chain() == 2
    proof.certificate.write_text(f'{{"files": {{{json.dumps(ESCAPES)}: 1, {json.dumps(ESCAPES)}: 2}}}}')
    assert proof.chain() == 64
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert text.isascii()
    assert text.isprintable() or set(text) - set(map(chr, range(32, 127))) == {"\n"}


def test_measured_margins_are_the_provers_and_said_to_be(
    forge: Callable[[str], Proof], capsys: pytest.CaptureFixture[str]
) -> None:
    proof = forge("pairs")
    entry = proof.claim("trained net is unchanged under rounding")
    entry["measured"]["margin_over_bound"] = {"smallest": 1e9, "median": None}
    proof.write()
    assert proof.chain() == 0
    assert "the prover measured a margin of 1e+09 bounds" in capsys.readouterr().out
    for strange in ("\x1b[1m", True, [1], 10**400, None):
        entry["measured"]["margin_over_bound"] = {"smallest": strange}
        proof.write()
        assert proof.chain() == 0
        assert "measured a margin" not in capsys.readouterr().out.split("trained net is unchanged")[1].split("\n")[0]


def test_an_equation_is_the_tasks_own(forge: Callable[[str], Proof], capsys: pytest.CaptureFixture[str]) -> None:
    """Of a task that is no addition the checker knows no equation; `chain` does."""
    proof = forge("erring parity")
    assert proof.chain() == 1
    proof.text["verdict"]["counterexample"]["equation"] = "Proved (task = machine = net)"
    proof.write()
    capsys.readouterr()
    assert proof.chain() == 2
    assert "NOT CHECKED" in capsys.readouterr().out.splitlines()[-1]


def test_a_program_of_ones_own(forge: Callable[[str], Proof], capsys: pytest.CaptureFixture[str]) -> None:
    """Right hash, other code."""
    for which in ("pairs", "adder"):
        proof = forge(which)
        program = proof.root / "proof" / "program.py"
        program.write_text(program.read_text() + "\nprint('Proved')\n")
        proof.text["files"]["program"]["sha256"] = checker.sha256(program.read_bytes())
        proof.write()
        assert proof.check() == REJECTED
        assert proof.chain() == 2
        assert "NOT C" in capsys.readouterr().out.splitlines()[-1]


def test_no_report_of_a_forgery_or_of_another_runs_proof(
    forge: Callable[[str], Proof], proofs: dict[str, Path]
) -> None:
    proof, wrong = forge("pairs"), proofs["wrong"] / "nets" / "trained.safetensors"
    checked(proof.certificate.parent, proof.nets)
    with pytest.raises(UserError, match="the certificate names no file of its hash"):
        checked(proof.certificate.parent, [wrong])
    refute(proof)
    proof.write()
    with pytest.raises(UserError, match="not confirmed: trained net equals arithmetic") as caught:
        checked(proof.certificate.parent, proof.nets)
    assert "\n" not in str(caught.value)


def test_a_certificate_of_another_net(forge: Callable[[str], Proof], proofs: dict[str, Path]) -> None:
    """A right proof shown for a wrong net: its hash is not that net's."""
    proof = forge("pairs")
    wrong = proofs["wrong"] / "nets" / "trained.safetensors"
    assert proof.check(files=[wrong]) == REJECTED
    assert main(["chain", str(proof.certificate), "--net", str(wrong)]) == 64
    forged = copy.deepcopy(proof.text)
    forged["files"]["trained net"]["sha256"] = checker.sha256(wrong.read_bytes())
    forged["nets"]["trained net"] = checker.Weights(wrong.read_bytes()).words()
    proof.text = forged
    proof.write()
    assert proof.check(files=[wrong, proof.nets[0]]) == REJECTED


def test_a_nets_own_header_does_not_command_the_terminal_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = write_snapshot(tmp_path / "net.safetensors", 7)
    rename_header(net, {"name": ESCAPES, "p": 7})
    assert main(["prove", "--trained", str(net)]) == 64
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.rstrip("\n").isprintable()
