"""What flows between the rooms: parameters, tasks, nets, run directories, progress and the report.

Every room imports this package before anything of others: what a command lacks is then one line, and numpy and torch
are held to one instruction set.
"""

import pipeline.missing_modules  # noqa: F401
from pipeline.instruction_set import hold

hold()
