"""Every measured number in the README, one command each."""

import pipeline  # noqa: F401 (holds numpy and torch to one instruction set)
