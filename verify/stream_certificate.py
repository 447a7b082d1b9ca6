"""The certificate of a recurrent net, as `CERTIFICATE.md` has it."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from verify.certificate import Certificate, Entry, Formula, described
from verify.invariant import BOUNDS, Invariant, region_text
from verify.recurrent_net import RecurrentNet
from verify.stream_prove import StreamProof


def certificate(proof: StreamProof, net: Path | str, files: dict[str, str]) -> Certificate:
    """`files` are SHA-256 by subject: net, and program where there is one."""
    task = proof.net.task
    about = {
        "key": task.key,
        "kind": "stream",
        "n_answers": task.n_answers,
        "n_left": task.n_left,
        "n_right": task.n_right,
        "options": task.to_dict(),
    }
    more = {"invariant": formulas(proof.net, proof.invariant)} if proof.invariant is not None else {}
    entries = tuple(Entry.of(result, more.get(result.claim.kind, ())) for result in proof.results)
    return Certificate(about, files, {"net": described(net)}, entries, proof.verdict)


def formulas(net: RecurrentNet, invariant: Invariant) -> tuple[Formula, ...]:
    """Every obligation of the induction over the net: a file a region, and one for each that the solver was asked."""
    listed = []
    by_name = {one.step.name: one for one in invariant.closed}
    for region, group in groupby(invariant.closed, key=lambda one: one.step.region):
        closed = list(group)
        text = region_text(net.exact, [one.step for one in closed], invariant.regions)
        n_bounds = sum(one.how == BOUNDS for one in closed)
        sentence = f"from every state in region {region}, every pair gives the machine's answer and next region"
        listed.append(Formula(f"region-{region}", sentence, text, f"{n_bounds} of {len(closed)} closed by bounds"))
    for obligation in invariant.asked:
        result = "unsat" if by_name[obligation.name].how else "open"
        listed.append(Formula(obligation.name, obligation.sentence, obligation.text, result))
    return tuple(listed)
