"""Progress of long work: a bar on a terminal, plain lines anywhere else, always on stderr."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm


class Progress:
    """`with Progress("train", total) as progress: progress.advance(n, "test 0.41")`.

    `advance` moves the bar; off a terminal it prints a line where `text` is given, so a log stays readable.
    """

    def __init__(self, label: str, total: int, done: int = 0, unit: str = "step") -> None:
        self.label, self.total, self.done = label, total, done
        self.terminal = sys.stderr.isatty()
        self._bar = tqdm(desc=label, total=total, initial=done, unit=unit, leave=True) if self.terminal else None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, amount: int = 1, text: str = "") -> None:
        self.done += amount
        if self._bar is not None:
            if text:
                self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(amount)
        elif text:
            self.say(f"{self.done}/{self.total} {text}")

    def say(self, text: str) -> None:
        """A line of its own, above the bar where there is one."""
        line = f"{self.label}: {text}"
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)
        else:
            print(line, file=sys.stderr, flush=True)
