"""What flows between the rooms: parameters, tasks, nets, run directories, progress and the report."""

from pipeline.instruction_set import hold

hold()
