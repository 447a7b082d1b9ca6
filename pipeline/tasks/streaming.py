"""Streaming tasks: a pair of symbols in and an answer out at every step, for streams of any length.

A task is an initial state and an exact step in Python integers. Where the step reaches finitely many states the task
has a reference machine, and a net can be proved to follow it for all lengths; where it needs unbounded memory it has
none.

A new task is one file in `pipeline/tasks/streams/` with a frozen dataclass `Task(StreamTask)`; its name is the file's.
Its fields are its options in params.yaml, numbers or strings. It says how many symbols and answers there are (n_right =
1: one column), an initial state and `step`: a state is hashable, an answer a plain int in [0, n_answers). It overrides
`flush` where something is left to come out at the end, such as a last carry (without it the claim ends with the
operands), `hard` where rules of thumb fail elsewhere than on repeated pairs, and `equation` to print a counterexample
as people write it.
"""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.tasks import streams
from pipeline.tasks.examples import Examples, padded
from pipeline.tasks.machine import Machine, Pair, explore

MOST_EXAMPLES, LONGEST_EXAMPLE = 500, 4
MOST_SYMBOLS = 64
ENDS = 12
LARGEST_MACHINE = 64
Streams = NDArray[np.int64]
Stream = tuple[Pair, ...]


class StreamTask(ABC):
    """A function of streams of pairs, a in [0, n_left) and b in [0, n_right), with answers in [0, n_answers)."""

    initial: Hashable = 0

    @property
    def name(self) -> str:
        return type(self).__module__.rsplit(".", 1)[-1]

    @property
    def file(self) -> str:
        """Where the task is written, for what is said of it."""
        return f"{type(self).__module__.replace('.', '/')}.py"

    @property
    @abstractmethod
    def n_left(self) -> int: ...

    @property
    @abstractmethod
    def n_right(self) -> int: ...

    @property
    @abstractmethod
    def n_answers(self) -> int: ...

    @property
    def flush(self) -> Stream:
        """What is read after the operands, so that the last of the answer comes out; addition: one place of zeros."""
        return ()

    @abstractmethod
    def step(self, state: Any, a: int, b: int) -> tuple[Any, int]:
        """The next state and the answer, exactly."""

    def hard(self, count: int, length: int, rng: np.random.Generator) -> Streams:
        """Streams that a heuristic gets wrong, [count, length, 2]; here: one pair again and again, then another."""
        symbols = rng.integers(0, (self.n_left, self.n_right), (2, count, 1, 2))
        turn = rng.integers(0, length + 1, (count, 1, 1))
        return np.where(np.arange(length)[None, :, None] < turn, symbols[0], symbols[1])

    def random(self, count: int, length: int, rng: np.random.Generator) -> Streams:
        """Streams of independent uniform pairs, [count, length, 2]."""
        return rng.integers(0, (self.n_left, self.n_right), (count, length, 2))

    def reference(self, stream: Sequence[Pair]) -> list[int]:
        """The exact answer at every step."""
        state, answers = self.initial, []
        for a, b in stream:
            state, answer = self.step(state, a, b)
            answers.append(answer)
        return answers

    def answers(self, batch: Streams) -> NDArray[np.int64]:
        """The exact answers of a batch [n, length, 2], as [n, length]."""
        return np.array([self.reference(stream) for stream in batch.tolist()], dtype=np.int64)

    def flushed(self, batch: Streams) -> Streams:
        """The same streams, each with `flush` at its end."""
        tail = np.array(self.flush, dtype=np.int64).reshape(1, len(self.flush), 2)
        return np.concatenate([batch, np.repeat(tail, len(batch), axis=0)], axis=1)

    def training_set(self, count: int, length: int, seed: int) -> Streams:
        """`count` random streams of `length` pairs and the flush: all that training is shown."""
        if not 1 <= count <= MOST_EXAMPLES:
            raise UserError(f"examples = {count}: give a number from 1 to {MOST_EXAMPLES}")
        if not 1 <= length <= LONGEST_EXAMPLE:
            raise UserError(f"digits = {length}: give a number from 1 to {LONGEST_EXAMPLE}")
        return self.flushed(self.random(count, length, np.random.default_rng(seed)))

    @final
    def machine(self) -> Machine | None:
        """The reference machine, minimised; None where the task has more than LARGEST_MACHINE states."""
        found = explore(self.initial, self.step, self.n_left, self.n_right, LARGEST_MACHINE)
        return None if found is None else found[0].minimised()

    @final
    def checked(self) -> StreamTask:
        """The task itself. Raises UserError where it does not keep to what a task is, as far as one can see."""
        try:
            sizes = (self.n_left, self.n_right, self.n_answers)
            hash(self.initial)
        except Exception as error:  # the task's own code may raise anything
            mend = "n_left, n_right and n_answers are numbers, and states are hashable"
            raise UserError(f"{self.file}: {_said(error)}; {mend}") from None
        if any(type(size) is not int or not 1 <= size <= MOST_SYMBOLS for size in sizes) or self.n_answers < 2:
            given = f"task = {self.name}: n_left, n_right, n_answers = {sizes}"
            raise UserError(f"{given}: give whole numbers from 1 to {MOST_SYMBOLS}, and at least two answers")

        def step(state: Any, a: int, b: int) -> tuple[Any, int]:
            try:
                given = self.step(state, a, b)
            except Exception as error:  # the task's own code may raise anything
                mend = "give (next state, answer)"
                raise UserError(f"{self.file}: step({state!r}, {a}, {b}) fails: {_said(error)}; {mend}") from None
            if not isinstance(given, tuple) or len(given) != 2:
                raise UserError(f"{self.file}: step({state!r}, {a}, {b}) = {given!r}: give (next state, answer)")
            after, answer = given
            try:
                hash(after)
            except TypeError:
                call = f"{self.file}: step({state!r}, {a}, {b}) = {given!r}"
                raise UserError(f"{call}: states are hashable: give a number or a tuple") from None
            if type(answer) is not int or not 0 <= answer < self.n_answers:
                given = f"task = {self.name}: answer = {answer!r} to ({a}, {b}) in state {state!r}"
                raise UserError(f"{given}: give a plain int from 0 to {self.n_answers - 1}")
            return after, answer

        explore(self.initial, step, self.n_left, self.n_right, LARGEST_MACHINE)
        return self

    def equation(self, stream: Sequence[Pair], got: Sequence[int | None]) -> str:
        """How an answer of a net differs from the right one, in a line; long streams without their middle."""
        said = _short(["?" if answer is None else str(answer) for answer in got])
        read = _short([str(a) if self.n_right == 1 else f"{a},{b}" for a, b in stream])
        return f"{self.name} of {read} = {_short([*map(str, self.reference(stream))])}, the net says {said}"

    @property
    def key(self) -> str:
        """The task as part of a directory name: addition10."""
        options = [str(value) for key, value in sorted(self.to_dict().items()) if key != "name"]
        return self.name + "_".join(options)

    def to_dict(self) -> dict[str, Any]:
        """What `stream_task` rebuilds it from."""
        options = asdict(self) if is_dataclass(self) and not isinstance(self, type) else {}
        return {"name": self.name, **options}


def _short(words: Sequence[str]) -> str:
    """At most 2 ENDS of the words, with how many are left out between them."""
    if len(words) <= 2 * ENDS:
        return " ".join(words)
    return " ".join([*words[:ENDS], f"... ({len(words) - 2 * ENDS} more) ...", *words[-ENDS:]])


def evaluation_sets(task: StreamTask, lengths: Sequence[int], count: int, seed: int) -> dict[str, Examples]:
    """Random and hard streams of every length, flushed: {"random_4": ..., "hard_4": ..., "random_10": ...}."""
    rng = np.random.default_rng([seed, 1])
    sets = {}
    for length in lengths:
        for kind, draw in (("random", task.random), ("hard", task.hard)):
            batch = task.flushed(draw(count, length, rng))
            sets[f"{kind}_{length}"] = Examples(batch, task.answers(batch))
    return sets


def stream_examples(task: StreamTask, streams: Sequence[Sequence[Any]]) -> Examples:
    """Streams of any lengths with their exact answers."""
    return padded(streams, [np.array(task.reference(stream), dtype=np.int64) for stream in streams])


def known_streams() -> list[str]:
    """Names of the tasks in `pipeline/tasks/streams/`."""
    return sorted(module.name for module in pkgutil.iter_modules(streams.__path__))


def stream_task(name: str, **options: Any) -> StreamTask:
    """The task of a name, such as addition with base=10; raises UserError for one that is not there."""
    if name not in known_streams():
        raise UserError(f"task = {name!r}: not in pipeline/tasks/streams; known: {', '.join(known_streams())}")
    kind = _task_class(name)
    known = {field.name: field.default is field.default_factory is MISSING for field in fields(kind) if field.init}
    for option in sorted(options.keys() - known.keys()):
        has = f"task = {name!r}: it has no option {option!r} (options: {', '.join(known) or 'none'})"
        raise UserError(f"{has}; take it out with -S '~tasks.NAME.options.{option}'")
    for option in (option for option, needed in known.items() if needed and option not in options):
        raise UserError(f"task = {name!r}: it needs {option!r}; give it with -S '+tasks.NAME.options.{option}=...'")
    try:
        made = kind(**options)
    except UserError:
        raise
    except Exception as error:  # the task's own code may raise anything
        raise UserError(f"{_file(name)}: Task(**{options}) fails: {_said(error)}; mend the file") from None
    return made.checked()


def _task_class(name: str) -> type[Any]:
    """The class `Task` of a file; raises UserError where the file has none."""
    try:
        module = importlib.import_module(f"pipeline.tasks.streams.{name}")
    except Exception as error:  # the file is the user's, and may raise anything
        raise UserError(f"{_file(name)}: cannot be imported: {_said(error)}; mend the file") from None
    kind, mend = getattr(module, "Task", None), "add a frozen dataclass Task(StreamTask)"
    if kind is None:
        raise UserError(f"{_file(name)}: has no class `Task`: {mend}")
    if not (isinstance(kind, type) and issubclass(kind, StreamTask) and is_dataclass(kind)):
        raise UserError(f"{_file(name)}: its `Task` is no dataclass of StreamTask: {mend}")
    return kind


def _file(name: str) -> str:
    return f"pipeline/tasks/streams/{name}.py"


def _said(error: Exception) -> str:
    """An exception in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def stream_task_from(description: Mapping[str, Any]) -> StreamTask:
    """The inverse of `to_dict`."""
    if not isinstance(description, Mapping):
        raise UserError(f"task = {description!r}: give a name and its options")
    options = {str(key): value for key, value in description.items() if key != "name"}
    return stream_task(str(description.get("name")), **options)
