"""Checks a certificate on its own: one file, standard library only, nothing trusted that the certificate says of a net.

    python verify/checker.py certificate.json --net student.safetensors --program program.py

It hashes the files again, reads the weights and the program's integers itself (running neither), and evaluates both on
every input in Python integers. It accepts if every claim about student and program has the verdict that this
evaluation gives, and says which claims it does not check. Exit status: 0 accepted, 1 rejected, 64 bad usage.
"""

import argparse
import ast
import hashlib
import json
import re
import struct
import sys
from operator import mul
from pathlib import Path

SCHEMA = "catapult-certificate-1"
PROGRAM, STUDENT = "program equals arithmetic", "student equals program"
FLOAT = ("trained net equals student", "trained net equals arithmetic")
ON_INPUTS = "on each of the {pairs} inputs, the trained net, evaluated in float32 in numpy's order of summation,"
SENTENCES = {
    PROGRAM: "for all a, b in 0..{last}, the program's one highest score is that of {task}",
    STUDENT: "for all a, b in 0..{last}, the integer student's one largest logit, over all {p} answers and with its "
    "exact stored weights, is that of the program's answer",
    FLOAT[0]: ON_INPUTS + " gives the student's answer",
    FLOAT[1]: ON_INPUTS + " gives {task}",
}
CHAINS = ({PROGRAM, STUDENT}, {PROGRAM, STUDENT, *FLOAT})  # of the trained net alone there is nothing to check here
# What a program file says besides its five integers' lines, so that what is evaluated here is what runs there.
ALGORITHM_SHA256 = "5c88e2ad220ce2932f65a1adb95125517b63f1b33adf7311475943a53fd38aea"
TUPLE = r"(\([-\d,\s]+\))"
LITERALS = re.compile(rf"P = (\d+)\nSIGN = (-?1)\nFREQUENCIES = {TUPLE}\nAMPLITUDES = {TUPLE}\nCOSINE = {TUPLE}\n")
SIGNS = {"addition": 1, "subtraction": -1}
TYPES = {"I8": "b", "I16": "h", "I32": "i", "I64": "q", "U8": "B", "U16": "H", "U32": "I"}
MOST_BYTES, LARGEST_P, LARGEST_ENTRY = 1 << 24, 1024, 10**9


class Rejected(Exception):
    """Why the certificate is not accepted."""


def need(condition, reason):
    if not condition:
        raise Rejected(reason)


def no_duplicates(pairs):
    need(len({key for key, _ in pairs}) == len(pairs), "JSON: a key is there twice")
    return dict(pairs)


def no_constant(name):
    raise Rejected(f"JSON: {name} is no number")


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def read(path):
    path = Path(path)
    need(path.is_file() and path.stat().st_size <= MOST_BYTES, f"{path.name}: no file of at most {MOST_BYTES} bytes")
    return path.read_bytes()


def read_net(data):
    """Header metadata and nested lists of integers from the bytes of a safetensors file."""
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start], object_pairs_hook=no_duplicates, parse_constant=no_constant)
    meta, net = header.pop("__metadata__"), {}
    for name, entry in header.items():
        code, shape, (low, high) = TYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
        need(all(type(v) is int and v > 0 for v in shape), f"net: {name} has shape {shape}")
        count = shape[0] * (shape[1] if len(shape) == 2 else 1)
        need(len(shape) in (1, 2) and 0 <= low <= high == low + count * struct.calcsize(code), f"net: {name}'s bytes")
        need(start + high <= len(data), f"net: {name} is truncated")
        flat = struct.unpack(f"<{count}{code}", data[start + low : start + high])
        net[name] = [flat[i : i + shape[1]] for i in range(0, count, shape[1])] if len(shape) == 2 else flat
    need(meta.get("format") == "catapult-student-1", "net: not a student")
    need(set(net) | {"right"} == {"left", "right", "mix", "offset", "readout"}, "net: its tensors")
    need(type(meta["p"]) is str and re.fullmatch("[1-9][0-9]{0,8}", meta["p"]), "net: its p")
    p, n, m = int(meta["p"]), len(net["mix"]), len(net["offset"])
    net.setdefault("right", net["left"])
    for name, rows, columns in (("left", p, n), ("right", p, n), ("mix", n, m), ("readout", m, p)):
        need(len(net[name]) == rows and all(len(row) == columns for row in net[name]), f"net: shape of {name}")
    return p, SIGNS[meta["operation"]], net


def read_program(data):
    """The five integers and tuples of a program file, whose every other byte is known."""
    source = data.decode()
    found = LITERALS.search(source)
    if found is None:
        raise Rejected("program: its integers are not where they belong")
    rest = source[: found.start()] + "\0" + source[found.end() :]
    need(sha256(rest.encode()) == ALGORITHM_SHA256, "program: not the algorithm that was proved")
    p, sign, frequencies, amplitudes, cosine = map(ast.literal_eval, found.groups())
    need(2 <= p <= LARGEST_P and len(cosine) == p, "program: its modulus or its table")
    need(0 < len(frequencies) == len(amplitudes) <= p, "program: its frequencies")
    need(all(abs(v) <= LARGEST_ENTRY for v in (*frequencies, *amplitudes, *cosine)), "program: entries too large")
    return p, sign, list(zip(frequencies, amplitudes, strict=True)), cosine


def argmax(scores):
    """Index of the one largest score, None where several share it."""
    return scores.index(max(scores)) if scores.count(max(scores)) == 1 else None


def program_answers(p, sign, terms, cosine):
    """By s = (a + sign * b) mod p, on which alone the scores depend."""
    table = [argmax([sum(w * cosine[(k * s - k * c) % p] for k, w in terms) for c in range(p)]) for s in range(p)]
    return [[table[(a + sign * b) % p] for b in range(p)] for a in range(p)]


def student_answers(p, net):
    columns, readout = (list(zip(*net[name], strict=True)) for name in ("mix", "readout"))
    answers = []
    for left in net["left"]:
        answers.append([])
        for right in net["right"]:
            hidden = [x + y if x + y > 0 else 0 for x, y in zip(left, right, strict=True)]
            features = [sum(map(mul, hidden, c), o) for o, c in zip(net["offset"], columns, strict=True)]
            answers[-1].append(argmax([sum(map(mul, features, c)) for c in readout]))
    return answers


def check_claim(name, entry, expected, got):
    """The certificate's verdict on a claim against the two p x p tables of answers."""
    verdict = entry["verdict"]["verdict"]
    p = len(expected)
    wrong = [(a, b) for a in range(p) for b in range(p) if got[a][b] is None or got[a][b] != expected[a][b]]
    if verdict == "Proved":
        need(not wrong, f"{name}: said to be proved, and is wrong at a, b = {wrong[:1]} and {len(wrong)} inputs in all")
        need(entry["obligations"], f"{name}: proved without obligations")
        need(all(o["result"] == "unsat" for o in entry["obligations"]), f"{name}: proved with an open obligation")
    elif verdict == "Refuted":
        a, b, *says = (entry["verdict"]["counterexample"][key] for key in ("a", "b", "expected", "got"))
        need(all(type(v) is int or v is None for v in (a, b, *says)), f"{name}: the counterexample is not of integers")
        need((a, b) in wrong, f"{name}: the counterexample a, b = {a}, {b} is none")
        need(says == [expected[a][b], got[a][b]], f"{name}: other answers at {a}, {b}")
    else:
        need(verdict == "Unknown", f"{name}: verdict {verdict!r}")


def check(certificate, net=None, program=None):
    """Returns the lines to print; raises Rejected. Paths of the certificate, the student and the program."""
    text = json.loads(read(certificate), object_pairs_hook=no_duplicates, parse_constant=no_constant)
    need(text["schema"] == SCHEMA, f"schema: not {SCHEMA!r}")
    task_p, task_sign = text["task"]["p"], SIGNS[text["task"]["operation"]]
    need(type(task_p) is int and 2 <= task_p <= LARGEST_P, f"task: p is no integer up to {LARGEST_P}")
    data = {name: read(path) for name, path in (("student", net), ("program", program)) if path}
    for name, content in data.items():
        need(text["files"][name]["sha256"] == sha256(content), f"{name}: not the file that the certificate names")
    claims = {entry["claim"]["kind"]: entry for entry in text["claims"]}
    need(len(claims) == len(text["claims"]), "claims: one is made twice")
    need(set(claims) in CHAINS, "claims: not a whole chain with the program and the student in it")
    verdicts = [claims[kind]["verdict"] for kind in sorted(claims, key=lambda kind: kind != FLOAT[1])]
    whole = next((v for said in ("Refuted", "Unknown") for v in verdicts if v["verdict"] == said), None)
    if whole is None:
        links = ["arithmetic", "program", "student"]
        whole = {"method": " = ".join(links + ["trained net"] * (FLOAT[1] in claims)), "verdict": "Proved"}
    need(text["verdict"] == whole, "verdict: it does not follow from the claims")
    words = {"last": task_p - 1, "p": task_p, "pairs": task_p**2, "task": f"(a {'-+'[task_sign > 0]} b) mod {task_p}"}
    for kind, entry in claims.items():
        same = (entry["claim"]["p"], entry["claim"]["operation"]) == (task_p, text["task"]["operation"])
        need(type(entry["claim"]["p"]) is int, f"claims: {kind}: its p is no integer")
        need(same and entry["sentence"] == SENTENCES[kind].format(**words), f"claims: {kind}: of another task")
        for o in entry["obligations"]:
            need(re.fullmatch(r"obligations/[\w-]+\.smt2", o["file"]), f"{o['file']!r}: not an obligation's name")
            need(
                sha256(read(Path(certificate).parent / o["file"])) == o["sha256"], f"{o['file']}: not the formula named"
            )
    lines = []
    need("program" in data, "program: give it with --program")
    p, sign, *algorithm = read_program(data["program"])
    need((p, sign) == (task_p, task_sign), "program: for another task")
    by_program = program_answers(p, sign, *algorithm)
    for kind, entry in claims.items():
        if kind == PROGRAM:
            truth = [[(a + task_sign * b) % task_p for b in range(task_p)] for a in range(task_p)]
            check_claim(kind, entry, truth, by_program)
        elif kind == STUDENT:
            need("student" in data, "student: give it with --net")
            p, sign, weights = read_net(data["student"])
            need((p, sign) == (task_p, task_sign), "net: for another task")
            check_claim(kind, entry, by_program, student_answers(p, weights))
        if kind in FLOAT:
            measured, proved = entry["measured"], entry["verdict"]["verdict"] == "Proved"
            need(measured["inputs"] == task_p**2, f"{kind}: not on every input")
            need(not (proved and measured["disagreements"]), f"{kind}: proved with disagreements")
        how = "NOT CHECKED (float32, exhaustive)" if kind in FLOAT else f"checked on all {task_p**2} inputs"
        lines.append(f"{entry['verdict']['verdict']}: {kind}: {how}")
    return [*lines, f"accepted ({sum(kind not in FLOAT for kind in claims)} of {len(claims)} claims checked)"]


def main(arguments=None):
    parser = argparse.ArgumentParser(None, argparse.SUPPRESS, __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("certificate", help="certificate.json, with its obligations/ beside it")
    parser.add_argument("--net", help="the student's safetensors file")
    parser.add_argument("--program", help="the program's Python file")
    try:
        options = parser.parse_args(arguments)
        print("\n".join(check(options.certificate, options.net, options.program)))
        return 0
    except SystemExit as stop:
        return 64 if stop.code else 0
    except Exception as error:
        print(f"rejected: {'' if isinstance(error, Rejected) else type(error).__name__ + ' '}{str(error)[:200]!r}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
