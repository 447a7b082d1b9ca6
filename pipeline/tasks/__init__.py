"""What is to be computed: domain, examples and an exact integer reference. A new task is one file."""

from pipeline.tasks.examples import Examples as Examples
from pipeline.tasks.examples import Split as Split
from pipeline.tasks.examples import padded as padded
from pipeline.tasks.modular import OPERATIONS as OPERATIONS
from pipeline.tasks.modular import SIGNED as SIGNED
from pipeline.tasks.modular import ModularTask as ModularTask
from pipeline.tasks.modular import Operation as Operation
from pipeline.tasks.modular import is_prime as is_prime
from pipeline.tasks.permutation import PermutationTask as PermutationTask
from pipeline.tasks.task import Task as Task
from pipeline.tasks.task import pair_split as pair_split
