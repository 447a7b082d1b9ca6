"""certificate.json in the words of the report."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import Any

from stages.report.records import Certificate, Claim, Status

PLAINEST = "trained net equals arithmetic"
"""The claim whose counterexample needs no explanation: what the trained net itself answers, and what is right."""

STATUSES: tuple[Status, ...] = ("Proved", "Refuted", "Unknown")


BESIDE = ("compact", "radius", "rounding")
"""Kinds of claims that stand beside the chain, but for the trained net's rounding."""
PLACES = {
    "integer student": "compressed/{key}/student.safetensors",
    "student": "compressed/{key}/student_float.safetensors",
    "pruned net": "compressed/{key}/pruned.safetensors",
    "trained net": "{snapshot}",
}


def parse_certificate(document: dict[str, Any], key: str, snapshot: str) -> Certificate:
    """The claims in order and their joint verdict, which is never better than the chain's weakest link."""
    claims = tuple(parse_claim(claim) for claim in document["claims"])
    joint = document["verdict"]
    links: list[Status] = [claim.status for claim in claims if claim.link]
    status = weakest([*links, status_of(joint)]) if links else "Unknown"
    files = {str(name): str(file["sha256"]) for name, file in document["files"].items()}
    return Certificate(
        status=status,
        verdict=spell(status, joint, claims),
        chain=str(joint.get("method") or ""),
        claims=claims,
        hashes=tuple(sorted(files.items())),
        solver=solvers(document),
        check=check_command(key, snapshot, files),
    )


def solvers(document: dict[str, Any]) -> str:
    return ", ".join(f"{solver['name']} {solver['version']}" for solver in document["solvers"])


def check_command(key: str, snapshot: str, files: Container[str]) -> str:
    """The independent checker's command line for the files this certificate speaks about."""
    command = f"python verify/checker.py proofs/{key}/certificate.json"
    for subject, place in PLACES.items():
        if subject in files:
            command += f" --net {place.format(key=key, snapshot=snapshot)}"
    return f"{command} --program proofs/{key}/program.py" if "program" in files else command


def status_of(verdict: dict[str, Any]) -> Status:
    """The status in a verdict; what is none of the three is Unknown, never Proved."""
    word = verdict.get("verdict")
    for known in STATUSES:
        if word == known:
            return known
    return "Unknown"


def weakest(statuses: Sequence[Status]) -> Status:
    """A chain is as good as its weakest link: Refuted before Unknown before Proved; an empty chain proves nothing."""
    if "Refuted" in statuses:
        return "Refuted"
    return "Proved" if set(statuses) == {"Proved"} else "Unknown"


def spell(status: Status, joint: dict[str, Any], claims: Sequence[Claim]) -> str:
    """The verdict with what backs it: the plainest counterexample as an equation, or why nothing was decided."""
    if status == "Proved":
        return "Proved"
    if not claims:
        return "Unknown: the certificate makes no claim"
    links = (claim for claim in claims if claim.link and claim.status == status)
    backing = sorted(links, key=lambda claim: claim.name != PLAINEST)
    found = [claim.counterexample or claim.reason or claim.sentence for claim in backing] or [evidence(joint)]
    return f"{status}: {found[0] or 'no reason is given'}"


def evidence(verdict: dict[str, Any]) -> str:
    """The equation of a Refuted, the reason of an Unknown, nothing for a Proved; what is not printable is escaped.

    The table of verdicts goes to a terminal, which a certificate must not command.
    """
    said = str((verdict.get("counterexample") or {}).get("equation") or verdict.get("reason") or "")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in said)


def parse_claim(document: dict[str, Any]) -> Claim:
    """One claim with its verdict."""
    verdict, sentence, claim = document["verdict"], str(document["sentence"]), document["claim"]
    measured = document.get("measured") or {}
    kind, net = str(claim["kind"]), claim.get("net")
    tried = measured.get("inputs"), measured.get("disagreements")
    status = status_of(verdict)
    return Claim(
        name=f"{claim['left']} equals {claim['right']}" if kind == "equals" else kind,
        link=kind not in BESIDE or (kind, net) == ("rounding", "trained net"),
        sentence=sentence[:1].upper() + sentence[1:].removesuffix(".") + ".",
        method=str(verdict.get("method") or ""),
        status=status,
        obligations=len(document.get("obligations") or ()),
        disagreements=(int(tried[1]), int(tried[0])) if tried[0] and tried[1] is not None else None,
        facts=tuple(facts(kind, measured)),
        reason=evidence(verdict) if status == "Unknown" else "",
        counterexample=evidence(verdict) if status == "Refuted" else "",
    )


def facts(kind: str, measured: dict[str, Any]) -> Iterator[str]:
    """What was measured on the way, for readers."""
    over = measured.get("margin_over_bound")
    if isinstance(over, dict) and over.get("smallest") is not None:
        median = "" if over.get("median") is None else f", median {over['median']:,g}"
        yield f"margin over bound {over['smallest']:,g}{median}"
    if kind == "radius" and measured.get("median") is not None:
        yield f"smallest radius {measured['smallest']}, median {measured['median']}"
    steps = measured.get("steps")
    if isinstance(steps, dict):
        yield f"{steps['compact']:,} steps, {steps['exhaustive']:,} for every logit"
