"""One thin script per DVC stage: read typed parameters, call one library function, write outputs."""

import pipeline  # noqa: F401 (holds numpy and torch to one instruction set)
