"""The formulas of a certificate, made again from the files that it names: what is listed has to be one of them.

The checker hashes a formula and does not read it, so a file of any other text could lie beside a certificate and be
called an obligation. The same code that states obligations states them here a second time, and texts are compared by
their hashes. Witnesses that are found in floats (`relax`, `find_clock`) could in principle differ on another machine:
then a formula is said not to be made again here, which is no proof that it is wrong.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.tasks.machine import Machine
from pipeline.tasks.streaming import stream_task_from
from pipeline.tasks.streams import addition
from verify.bounds import Box
from verify.certificate import OBLIGATIONS
from verify.compact import find_clock, margin_obligation, measure
from verify.encode import program_obligations, student_obligations
from verify.exact_net import load_exact_net
from verify.invariant import region_text, step_obligation, steps
from verify.machine_proof import addition_obligations, state_obligations
from verify.programs import load_program
from verify.recurrent_net import load_recurrent
from verify.relax import by_pairs, relax
from verify.smt import Obligation

Certificate = Mapping[str, Any]
Files = Mapping[str, Path]


def listed(certificate: Certificate) -> dict[str, str]:
    """By file, the hash of every formula of a claim that is Proved; nothing rests on those of the others."""
    proved = [entry for entry in certificate["claims"] if entry["verdict"]["verdict"] == "Proved"]
    return {o["file"]: o["sha256"] for entry in proved for o in entry["obligations"]}


def not_made_again(certificate: Certificate, files: Files) -> list[str]:
    """The listed formulas that the prover does not make of these files, of which some may be missing."""
    wanted = listed(certificate)
    if not wanted:
        return []
    made: dict[str, set[str]] = defaultdict(set)
    pairs = certificate["task"]["kind"] == "pairs"
    try:
        for name, text in (_of_pairs if pairs else _of_streams)(certificate, files):
            made[f"{OBLIGATIONS}/{name}.smt2"].add(hashlib.sha256(text.encode()).hexdigest())
    except (UserError, ValueError, KeyError, IndexError, TypeError):
        # What cannot be made is not made: every listed formula that is missing then is named.
        pass
    return sorted(file for file, digest in wanted.items() if digest not in made[file])


def _texts(obligations: Iterable[Obligation]) -> Iterator[tuple[str, str]]:
    return ((obligation.name, obligation.text) for obligation in obligations)


def _of_pairs(_: Certificate, files: Files) -> Iterator[tuple[str, str]]:
    if "program" not in files:
        return
    program = load_program(files["program"])
    yield from _texts(program_obligations(program))
    if "integer student" not in files:
        return
    net = load_exact_net(files["integer student"])
    for relaxation in (relax(net, program), by_pairs(net)):
        yield from _texts(student_obligations(net, relaxation))
    clock = find_clock(net, program)
    reach = None if isinstance(clock, str) else measure(net, clock)
    if reach is not None and not isinstance(clock, str):
        yield from _texts([margin_obligation(net, clock, reach)])


def _of_streams(certificate: Certificate, files: Files) -> Iterator[tuple[str, str]]:
    for entry in certificate["claims"]:
        evidence, kind = entry["evidence"], entry["claim"]["kind"]
        if kind == "machine" and evidence:
            machine, task = machine_of(evidence["machine"]), stream_task_from(certificate["task"]["options"])
            if isinstance(task, addition.Task):
                yield from _texts(addition_obligations(machine, tuple(evidence["carries"]), task.base))
            else:
                yield from _texts(state_obligations(machine, machine_of(evidence["reference"])))
        elif kind == "invariant" and evidence and "net" in files:
            net, machine = load_recurrent(files["net"]).exact, machine_of(evidence["machine"])
            regions = [Box(tuple(box["low"]), tuple(box["high"])) for box in evidence["regions"]]
            every = steps(machine)
            for region in range(machine.n_states):
                of_region = [step for step in every if step.region == region]
                yield f"region-{region}", region_text(net, of_region, regions)
            yield from _texts(step_obligation(net, step, regions) for step in every)


def machine_of(entry: Mapping[str, Any]) -> Machine:
    """A machine of a certificate."""
    tables = (entry["following"], entry["answers"])
    return Machine(*(tuple(tuple(map(tuple, rows)) for rows in table) for table in tables))
