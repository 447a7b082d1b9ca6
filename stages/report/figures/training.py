"""Loss and accuracy over the steps, with the learning rate behind them."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.svg import Scale, Svg, log_domain
from stages.report.axes import LEFT, RIGHT, Axes, legend
from stages.report.figures.figure import Figure, panels
from stages.report.headline import percent
from stages.report.records import Record

LOSSES = (("train_loss", "train", "training pairs"), ("test_loss", "test", "unseen pairs"))
HEIGHT = 170.0


def figure(records: Sequence[Record]) -> Figure:
    """One panel a run, all on the same axes."""
    losses = [loss for record in records for name, _, _ in LOSSES for _, loss in record.history.points("step", name)]
    domain, steps = log_domain(losses), max(record.steps for record in records)
    key = legend(
        [
            ("curve", "train", "training pairs"),
            ("curve", "test", "unseen pairs"),
            ("fill", "rate", "learning rate"),
            ("curve", "moment", "transition"),
        ]
    )
    drawings = [(record.key, lambda width, record=record: draw(record, width, domain, steps)) for record in records]
    return Figure(key + panels(drawings), tuple((record.key, takeaway(record)) for record in records), reading(records))


def draw(record: Record, width: int, domain: tuple[float, float], steps: int) -> str:
    """Loss above, accuracy below."""
    svg = Svg(width, 2 * HEIGHT + 112, f"Loss and accuracy of {record.key}")
    x = Scale(0, steps, LEFT, width - RIGHT)
    rates = record.history.points("step", "lr")
    top = max((rate for _, rate in rates), default=0.0) or 1.0
    loss = Axes(svg, x, Scale(*domain, 26 + HEIGHT, 26, log=True))
    accuracy = Axes(svg, x, Scale(0, 1, 72 + 2 * HEIGHT, 72 + HEIGHT))
    for axes in (loss, accuracy):
        axes.area(rates, Scale(0, top, axes.bottom, axes.top + 6), "rate")
    loss.frame("cross-entropy loss (log scale)")
    accuracy.frame("accuracy", "training step", (0, 0.25, 0.5, 0.75, 1), lambda share: f"{share:.0%}")
    svg.text(width - RIGHT, 18, f"rate: 0 to {top:g}", "note", "end")
    for axes, kind in ((loss, "loss"), (accuracy, "accuracy")):
        for split in ("train", "test"):
            axes.curve(record.history.points("step", f"{split}_{kind}"), split)
    cycle = record.phases.transition_cycle
    step = None if cycle is None else record.phases.step_of(cycle)
    if step is not None:
        loss.mark(step)
        accuracy.mark(step, f"cycle {cycle}")
    return str(svg)


def takeaway(record: Record) -> str:
    """Where the run ends, and when it first got 99% of the unseen pairs."""
    points = record.history.points("step", "test_accuracy")
    first = next((step for step, share in points if share >= 0.99), None)
    end = f"ends with {percent(record.test_accuracy)} of the unseen pairs right"
    best = max((share for _, share in points), default=None)
    return f"{end} (at best {percent(best)})." if first is None else f"{end}; it first passed 99% at step {first:g}."


def reading(records: Sequence[Record]) -> str:
    """The symbols."""
    sizes = dict.fromkeys(
        (record.task, record.inputs, int(record.train_fraction * record.inputs)) for record in records
    )
    tasks = "; ".join(
        f"{task}: {inputs:,} pairs (a, b) in all, of which {shown:,} are shown in training"
        for task, inputs, shown in sizes
    )
    answers = dict.fromkeys(record.task.n_answers for record in records)
    guessing = ", or ".join(f"accuracy 1/{n} and loss ln&#8239;{n}" for n in answers)
    return (
        f"The task{' is' if len(sizes) == 1 else 's are'} {tasks}. Blue is measured "
        "on those, vermilion on the pairs never shown; the gap between the two is memorisation. The "
        "grey shape is the learning rate of the main optimiser, each panel on its own scale (named at its top), "
        f"because the rates of different optimisers do not compare. Guessing has {guessing}."
    )
