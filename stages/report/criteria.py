"""The criteria of the label `algorithm`, as the phases state them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from stages.report.records import Criterion

NAMES = {
    "accuracy": "right on all pairs, seen and unseen",
    "scrubbed_accuracy": "right by single frequencies alone",
    "circle_scrubbed_accuracy": "right by a few circles of the embeddings alone",
    "explained": "logits that depend on the answer only",
    "neuron_localisation": "neurons at one frequency",
    "restricted_loss": "restricted loss",
    "excluded_loss": "excluded loss",
}

READING = (
    "The table is why the last snapshot is called an algorithm, or is not: all of it must hold, and no criterion but "
    "the first is about being right. <i>Right by single frequencies alone</i>: the accuracy when each neuron keeps "
    "only the wave of its own frequency and all else in the logits comes from another, random input. <i>Logits that "
    "depend on the answer only</i>: the share of the logits' variance explained by how far a candidate is from the "
    "answer. <i>Neurons at one frequency</i>: the median share of a neuron's variance at its own frequency; what is "
    "needed is a multiple of what is left of it when the residues are renamed at random."
)


def table(criteria: Sequence[Criterion]) -> str:
    """What was measured, what is needed, and whether it holds."""
    if not criteria:
        return ""
    order = list(NAMES)
    criteria = sorted(criteria, key=lambda c: order.index(c.name) if c.name in NAMES else len(order))
    rows = "".join(
        f"<tr><td>{escape(NAMES.get(c.name, c.name.replace('_', ' ')))}</td><td class='n'>{shown(c, c.value)}</td>"
        f"<td class='n'>{'&ge;' if c.at_least else '&le;'} {shown(c, c.threshold)}</td>"
        f"<td>{'<b class=proved>&#10003;</b>' if c.holds else '<b class=refuted>&#10007;</b>'}</td></tr>"
        for c in criteria
    )
    head = "<th>last snapshot</th><th class='n'>measured</th><th class='n'>needed</th><th></th>"
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def shown(criterion: Criterion, value: float) -> str:
    """Losses in nats, everything else as a share."""
    return f"{value:.2f}" if criterion.name.endswith("loss") else f"{value:.1%}"
