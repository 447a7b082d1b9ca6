"""The certificate in words: each claim, how it was decided, and how to check it again."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from stages.report.records import Certificate, Claim, Record

MARKS = {"Proved": "&#10003;", "Refuted": "&#10007;", "Unknown": "?"}


def section(records: Sequence[Record]) -> str:
    """One article for each net; a refutation is shown as plainly as a proof."""
    return f'<div class="panels">{"".join(article(record) for record in records)}</div>'


def article(record: Record) -> str:
    """The verdict, the claims, the fingerprints and the command line."""
    certificate = record.certificate
    claims = "".join(claim_item(claim) for claim in certificate.claims)
    return (
        f'<div class="panel proof"><h3>{escape(record.key)}</h3>{verdict(certificate)}<ol class="claims">{claims}</ol>'
        f"{fingerprints(certificate)}{again(record)}</div>"
    )


def badge(status: str) -> str:
    """A verdict in a word, with a sign that does not depend on colour."""
    return f'<span class="badge {status.lower()}">{MARKS[status]} {status}</span>'


def verdict(certificate: Certificate) -> str:
    """The joint verdict, and the equation where there is one."""
    detail = certificate.verdict.partition(": ")[2] or certificate.chain or f"all {len(certificate.claims)} claims"
    return f'<p class="verdict">{badge(certificate.status)} {escape(detail)}</p>'


def claim_item(claim: Claim) -> str:
    """One claim as a sentence, then the method and the verdict."""
    facts = [escape(claim.method)] if claim.method else []
    if claim.disagreements:
        facts.append("{:,} of {:,} inputs differ".format(*claim.disagreements))
    facts += map(escape, claim.facts)
    if claim.obligations:
        facts.append(f"{claim.obligations:,} obligation{'s' if claim.obligations != 1 else ''}")
    lines = [
        f'<p class="sentence">{escape(claim.sentence)}</p><p class="facts">{badge(claim.status)} {"; ".join(facts)}</p>'
    ]
    if claim.counterexample:
        lines.append(f'<p class="equation">{escape(claim.counterexample)}</p>')
    elif claim.reason:
        lines.append(f'<p class="reason">{escape(claim.reason)}</p>')
    return f"<li>{''.join(lines)}</li>"


def fingerprints(certificate: Certificate) -> str:
    """Hashes of the weights and the version of the solver."""
    rows = "".join(
        f"<dt>SHA-256, {escape(name)}</dt><dd><code>{escape(value)}</code></dd>" for name, value in certificate.hashes
    )
    if certificate.solver:
        rows += f"<dt>Solver</dt><dd>{escape(certificate.solver)}</dd>"
    return f'<dl class="prints">{rows}</dl>'


def again(record: Record) -> str:
    """The command lines, and the program itself where the net gave one."""
    proofs = f"proofs/{record.key}"
    commands = [record.certificate.check]
    if record.program is None:
        source = "<p>No program was read off this net.</p>"
    else:
        commands.append(f"python {proofs}/program.py {37 % record.task.n_left} {99 % record.task.n_right}")
        lines = len(record.program.splitlines())
        source = (
            f"<details open><summary>The program read off the student ({lines} lines of Python)</summary>"
            f'<pre class="source">{escape(record.program)}</pre></details>'
        )
    shown = "".join(f"<span>{escape(command)}</span>" for command in commands)
    return f'<p>To check it again, from the root of the repository:</p><pre class="command">{shown}</pre>{source}'


def takeaway(record: Record) -> str:
    """How the claims ended."""
    claims = record.certificate.claims
    counts = [(sum(claim.status == status for claim in claims), status.lower()) for status in MARKS]
    ended = ", ".join(f"{count} {status}" for count, status in counts if count)
    return f"has {len(claims)} claims: {ended}." if claims else "has no claims: nothing is proved."


READING = (
    "<i>Exhaustive</i> means that every input was evaluated, in exact arithmetic over the stored weights (of the "
    "trained and the pruned net, within bounds that leave no doubt). <i>Solver</i> means that the negation was given "
    "to Z3 as well, every weight an exact integer and a and b left open (but for listed pairs, where the features "
    "stray), and found impossible; an <i>obligation</i> is one such formula. <i>Unchanged under rounding</i> covers "
    "float32 in any order of summation: the margin is that of an answer over the next, the bound is what rounding can "
    "take. <i>Proved</i> is said only where an independent checker, which needs neither Z3 nor torch, came to the same "
    "from the files alone; a time-out is Unknown, never Proved. A refutation names an input, which anyone can replay. "
    "The SHA-256 pins the files that the claims speak about."
)
