"""Every measured number in the README, one command each."""

import pipeline.missing_modules  # noqa: F401 (first: it says in one line what a command lacks)
