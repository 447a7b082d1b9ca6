"""Before any test imports numpy or torch: one instruction set for all of them."""

import pipeline  # noqa: F401
