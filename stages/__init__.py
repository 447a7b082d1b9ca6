"""One thin script per DVC stage: read typed parameters, call one library function, write outputs."""

import pipeline.missing_modules  # noqa: F401 (first: it says in one line what a command lacks)
