"""The algorithm label of a net as lines of text, as `python -m interp measures` prints it."""

from __future__ import annotations

from interp.algorithms import AlgorithmLabel
from interp.circle_scrubbing import few


def algorithm_lines(label: AlgorithmLabel) -> list[str]:
    """The label and its confidence, then every criterion of it, of the nearest one where it is unknown."""
    m = label.measures
    if m is None:
        return [
            "algorithm: unknown",
            "  no basis is known in which this operation is a sum: its mechanism is not measured (nan),",
            "  and no net of it is called an algorithm",
        ]
    if label.name == "unknown":
        head, of = f"algorithm: unknown (nearest: {label.nearest})", label.nearest
    else:
        also = f"; also {', '.join(label.also)}" if label.also else ""
        head, of = f"algorithm: {label.name}, confidence {label.confidence:.2f}{also}", label.name
    lines = [head, f"criteria of `{of}`, and where each is between its threshold, 0, and a plain case, 1:"]
    for one in label.evidence:
        criterion = str(one.criterion)
        lines.append(f"  {'yes' if one.criterion.holds else 'no ':<4} {criterion:<44} {one.margin:.2f}")
    carried = f"{m.circle_scrubbed_accuracy:.2%} of the answers"
    return [*lines, f"the {few(m.n)} strongest of {m.n // 2} circles of the embeddings alone carry {carried}"]
