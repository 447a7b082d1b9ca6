"""certificate.json in the words of the report."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from pipeline.report.records import Certificate, Claim, Status

PLAINEST = "trained net equals arithmetic"
"""The claim whose counterexample needs no explanation: what the trained net itself answers, and what is right."""

STATUSES: tuple[Status, ...] = ("Proved", "Refuted", "Unknown")


def parse_certificate(document: dict[str, Any], key: str) -> Certificate:
    """The claims in order and their joint verdict, which is never better than the weakest claim."""
    claims = tuple(parse_claim(claim) for claim in document["claims"])
    joint = document["verdict"]
    status = weakest([*(claim.status for claim in claims), status_of(joint)]) if claims else "Unknown"
    files = {str(name): str(file["sha256"]) for name, file in document["files"].items()}
    solver = document["solver"]
    return Certificate(
        status=status,
        verdict=spell(status, joint, claims),
        chain=str(joint.get("method") or ""),
        claims=claims,
        hashes=tuple(sorted(files.items())),
        solver=f"{solver['name']} {solver['version']}",
        check=check_command(key, files),
    )


def check_command(key: str, files: Container[str]) -> str:
    """The independent checker's command line for the files this certificate speaks about."""
    command = f"python -m verify check proofs/{key}/certificate.json"
    if "student" in files:
        command += f" --net compressed/{key}/student.safetensors"
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
    backing = sorted((claim for claim in claims if claim.status == status), key=lambda claim: claim.kind != PLAINEST)
    found = [claim.counterexample or claim.reason or claim.sentence for claim in backing] or [evidence(joint)]
    return f"{status}: {found[0] or 'no reason is given'}"


def evidence(verdict: dict[str, Any]) -> str:
    """The equation of a Refuted, the reason of an Unknown, nothing for a Proved."""
    return str((verdict.get("counterexample") or {}).get("equation") or verdict.get("reason") or "")


def parse_claim(document: dict[str, Any]) -> Claim:
    """One claim with its verdict."""
    verdict, sentence = document["verdict"], str(document["sentence"])
    measured = document.get("measured") or {}
    tried = measured.get("inputs"), measured.get("disagreements")
    status = status_of(verdict)
    return Claim(
        kind=str((document.get("claim") or {}).get("kind") or ""),
        sentence=sentence[:1].upper() + sentence[1:].removesuffix(".") + ".",
        method=str(verdict.get("method") or ""),
        status=status,
        obligations=len(document.get("obligations") or ()),
        disagreements=(int(tried[1]), int(tried[0])) if tried[0] and tried[1] is not None else None,
        reason=evidence(verdict) if status == "Unknown" else "",
        counterexample=evidence(verdict) if status == "Refuted" else "",
    )
