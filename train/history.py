"""One row a step: what every run reports, and one column more for each method that its recipe switches on.

    weight_decay      length of what weight decay took off the weights: lr * weight_decay * w over all of them
    norm_penalty, nuclear_norm, group_penalty
                      what each penalty added to the loss
    live_directions   singular values above 0 of all matrices under the nuclear norm, after the step
    live_units        hidden units that are alive after the step
    gradient          grokfast: length of the new gradient over the old one's; perpendicular: share of the gradient's
                      energy that was radial
    constraints       share of rows, or of singular values, that were over their norm after the step
    weight_noise      length of the noise that the gradient of the loss was taken with
    activation_noise  its standard deviation, in units of the RMS
    dropout           its probability
    state_noise       its standard deviation

Train accuracy counts targets, test accuracy whole examples: of a stream that is every place. Test loss and accuracy
are None in a row whose step was not evaluated, and empty in the file; so is the column of a
method in the rows of a phase that is without it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
COLUMNS = ("step", "cycle", "lr", "train_loss", "train_accuracy", "test_loss", "test_accuracy")


def to_csv(history: Sequence[Row], measures: Sequence[str]) -> str:
    """Floats with six digits; the columns in their order, then those of `measures`."""
    columns = (*COLUMNS, *measures)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in history:
        values = (row.get(column) for column in columns)
        writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in values])
    return text.getvalue()
