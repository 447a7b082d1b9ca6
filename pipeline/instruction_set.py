"""One instruction set for every numeric library: the same run has the same bytes on every processor that has it.

torch, oneDNN, OpenBLAS and numpy each choose kernels by the processor that they find. Two kernels sum in another
order, and training makes the last bit of a sum into another net. So all of them are held to x86-64-v3 (AVX2 and FMA:
Intel since 2013, AMD since 2017), whatever more the processor has. That is done by environment variables, which each
library reads when it is loaded: importing any package of this project, before numpy, is enough. What torch takes
from MKL, which has no such variable that holds for all vendors, `pipeline.kernels` replaces.

`CATAPULT_KERNELS=native` leaves the choice to the libraries, and to variables that are set from outside. On other
processors, on a GPU, and with other versions of the libraries than constraints.txt names, results are those of a run
on that machine: as good, and of other bytes.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from pipeline.errors import BAD_INPUT

SWITCH = "CATAPULT_KERNELS"
NEEDED = frozenset({"avx2", "fma", "bmi1", "bmi2", "f16c", "movbe", "abm"})
"""What the kernel calls the extensions of x86-64-v3."""
VARIABLES = {
    "ATEN_CPU_CAPABILITY": "avx2",  # torch's own kernels
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # torch's convolutions and bfloat16 products
    "OPENBLAS_CORETYPE": "Haswell",  # numpy's matrix products, and so ours (pipeline.kernels)
    "OPENBLAS_NUM_THREADS": "1",  # several threads split a product in another way than one
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",  # numpy's own loops
}
_held = False


def has_instruction_set(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether this is Linux on a processor with x86-64-v3."""
    if platform.machine() != "x86_64" or not cpuinfo.is_file():
        return False
    lines = cpuinfo.read_text(errors="replace").splitlines()
    flags = next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")
    return set(flags.split()) >= NEEDED


def hold() -> None:
    """Set the variables for this process and its children, unless the user or the processor does not want them.

    An unknown value of CATAPULT_KERNELS ends the process with one line and BAD_INPUT.
    """
    wanted = os.environ.get(SWITCH, "same")
    if wanted not in ("same", "native"):
        print(f"{SWITCH} = {wanted!r}: give same (the same bytes on every processor) or native", file=sys.stderr)
        raise SystemExit(BAD_INPUT)
    if wanted == "same" and has_instruction_set():
        global _held
        _held = "numpy" not in sys.modules or all(os.environ.get(key) == value for key, value in VARIABLES.items())
        os.environ.update(VARIABLES)


def is_held() -> bool:
    """Whether the libraries of this process were told in time."""
    return _held
