"""Lessons: what a recurrent net gets wrong at the end of a cycle becomes training examples.

Every stream that is fed back is counted and listed in taught.json, as the training data that it is; one that is found
again counts again. A net that has not learnt its examples is taught nothing, and after PATIENCE such cycles in a row
its weights are drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.batch import Batch
from pipeline.errors import UserError
from pipeline.experiment import Experiment, StreamParams
from pipeline.files import to_json
from pipeline.nets import Net
from pipeline.tasks.streaming import Stream, StreamTask, stream_examples
from train.callbacks import Training, table
from train.data import Data
from train.history import Row

PATIENCE = 3
"""Cycles in which a net has to learn its examples."""

Teacher = Callable[[dict[str, NDArray[np.float32]], StreamTask, int], Sequence[Stream]]
"""For weights by name: streams, at most so many, that the net gets wrong."""


def proof_search() -> Teacher:
    """The search of the proofs for streams on which a net errs."""
    from verify.teacher import counterexamples

    return counterexamples


class Teaching:
    """`first_net` gives the weights of a draw of the experiment's seed."""

    def __init__(self, training: Training, first_net: Callable[[Experiment, int], Net]) -> None:
        params = training.experiment.task
        if not isinstance(params, StreamParams):
            raise UserError(f"recipe = {training.experiment.recipe}: teaches streams, and {params.name} has none")
        self.task, self.first_net, self.teacher = params.task(), first_net, proof_search()
        self.training, self.tried = training, training.data.tried
        self.shown: list[Any] = self.task.training_set(
            params.examples, params.digits, training.experiment.train.seed
        ).tolist()
        self.taught: list[Any] = []
        self.draws: list[int] = [0]  # the cycle after which each draw of the weights began
        self.behind = 0  # cycles in a row at whose end the net had not learnt its examples
        self.rows: list[Row] = []

    def before(self, training: Training) -> None:
        self.rows.append({"cycle": 0, "taught": 0, "draws": 1})

    def after_cycle(self, training: Training, row: Row) -> bool:
        cycle, teach = row["cycle"], training.trainer.recipe.teach
        self.rows.append({"cycle": cycle, "taught": len(self.taught), "draws": len(self.draws)})
        if teach is None or not training.more:
            return False
        if row["train_accuracy"] >= teach.learnt:
            weights = {name: weight.detach().cpu().numpy().copy() for name, weight in training.net.state_dict().items()}
            self.behind = 0
            found = self.teacher(weights, self.task, teach.counterexamples)
            self.taught.extend([list(pair) for pair in stream] for stream in found)
            if found:
                training.show(self._data())
            return False
        self.behind += 1
        if self.behind < PATIENCE:
            return False
        self.behind = 0
        self.draws.append(cycle)
        training.net.load_state_dict(self.first_net(training.experiment, len(self.draws) - 1).state_dict())
        training.begin(training.trainer.recipe)
        return True

    def _data(self) -> Data:
        device = self.training.data.train.targets.device
        return Data(Batch.of(stream_examples(self.task, self.shown + self.taught), device), self.tried)

    def files(self) -> dict[str, str]:
        streams = {"count": len(self.taught), "streams": self.taught}
        return {"taught.json": to_json(streams), "lessons.csv": table(self.rows)}

    def state_dict(self) -> dict[str, Any]:
        return {"taught": self.taught, "draws": self.draws, "behind": self.behind, "rows": self.rows}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.taught, self.draws, self.rows = state["taught"], state["draws"], state["rows"]
        self.behind = state["behind"]
        self.training.data = self._data()
