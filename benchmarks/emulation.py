"""Other processors, as far as environment variables go: which kernels torch, MKL, oneDNN, OpenBLAS and numpy may take.

    same     what every command of the project does by default: pipeline.instruction_set
    native   what the libraries choose for this processor
    avx2     what they choose for one that has AVX2 and no AVX-512
    oldest   the oldest kernels that there are: SSE

Libraries read the variables when they are loaded, so that an emulation is of a process started for it.
"""

from __future__ import annotations

import os

from pipeline.instruction_set import SWITCH, VARIABLES

EMULATIONS = {
    "same": {},
    "native": {SWITCH: "native"},
    "avx2": {SWITCH: "native", "ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "oldest": {
        SWITCH: "native",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Nehalem",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    },
}


def emulate(name: str) -> None:
    """Processes that are started from here on take the kernels of EMULATIONS[name]; this one keeps its own."""
    for variable in (SWITCH, *VARIABLES):
        os.environ.pop(variable, None)
    os.environ.update(EMULATIONS[name])
