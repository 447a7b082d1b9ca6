"""The same kernels on the processors of every vendor: where torch would call MKL, numpy is called.

MKL asks for the vendor of a processor and not only for its instructions: on an Intel and on an AMD processor with the
same instruction set it multiplies matrices, and takes exponentials, roots and transforms, by different code, which
rounds differently (`python -m benchmarks.same_bytes --qemu Haswell EPYC` shows that). numpy's loops, its OpenBLAS and
its pocketfft choose by instructions alone, which `pipeline.instruction_set` holds to one set.

`settle` replaces those kernels of torch, for the CPU and for this process: nets, optimisers and measures are written
as ever, backward passes included. On other devices, other processors and under CATAPULT_KERNELS=native nothing is
replaced.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.instruction_set import is_held

FUNCTIONS: dict[str, np.ufunc] = {
    "exp": np.exp,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
}
"""Functions of one number that torch takes from MKL, as far as they are used here, and numpy's."""
HALF = (torch.float16, torch.bfloat16)
"""Computed in float32 and rounded."""


def settle() -> None:
    """torch on one thread, with the deterministic one of several algorithms, and on the same kernels everywhere.

    The number of threads decides how a sum is split, and so its last bits: a run takes one, however many there are.
    """
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    if is_held():
        _replace()


@cache
def _replace() -> torch.library.Library:
    """Put numpy's kernels in; they stay as long as the library does, which is kept here."""
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a kernel is replaced, which is what is meant
        for name, kernel in _kernels().items():
            library.impl(name, kernel, "CPU")
    return library


def _kernels() -> dict[str, Callable[..., Any]]:
    kernels: dict[str, Callable[..., Any]] = dict.fromkeys(("mm", "bmm", "mv", "dot"), _product)
    kernels |= dict.fromkeys(("addmm", "baddbmm", "addmv"), _product_added)
    kernels |= {"_fft_r2c": _fft_r2c, "_fft_c2r": _fft_c2r, "_linalg_svd": _svd, "_linalg_eigh": _eigh}
    for name, function in FUNCTIONS.items():
        kernels |= {name: _new(function), f"{name}_": _in_place(function), f"{name}.out": _into(function)}
    return kernels


def _array(x: Tensor) -> NDArray[Any]:
    """The numbers of a tensor, in numpy; shared where the type is one of numpy's."""
    x = x.detach().resolve_conj().resolve_neg()
    return (x.float() if x.dtype in HALF else x).numpy()


def _matrix(x: Tensor) -> NDArray[Any]:
    """The same, laid out so that numpy hands it to OpenBLAS."""
    rows = x.ndim > 1 and not (min(x.stride()[-2:]) == 1 and max(x.stride()[-2:]) >= max(x.shape[-2:]))
    return _array(x.contiguous() if rows else x)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """The product of matrices, of two stacks of them, of a matrix and a vector, or of two vectors."""
    if left.ndim == right.ndim == 3 and len(left) == len(right) > 1 and left.numel() and right.stride(0) == 0:
        # one matrix for a whole stack, which torch hands on like this where the stack is not contiguous: numpy would
        # multiply by as many copies of it
        return _product(left.reshape(left.shape[0] * left.shape[1], -1), right[0]).unflatten(0, left.shape[:2])
    with np.errstate(all="ignore"):  # torch, too, says nothing of what is not finite
        return torch.from_numpy(np.asarray(np.matmul(_matrix(left), _matrix(right)))).to(left.dtype)


def _product_added(added: Tensor, left: Tensor, right: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """beta added + alpha left right; as in torch, `added` is not looked at where beta is 0."""
    product = _product(left, right)
    if alpha != 1:
        product.mul_(alpha)
    if beta != 0:
        product.add_(added if beta == 1 else added * beta)
    return product


def _computed(function: np.ufunc, x: Tensor) -> Tensor:
    with np.errstate(all="ignore"):
        return torch.from_numpy(np.asarray(function(_array(x))))


def _new(function: np.ufunc) -> Callable[[Tensor], Tensor]:
    def kernel(x: Tensor) -> Tensor:
        x = x if x.is_floating_point() or x.is_complex() else x.float()
        return _computed(function, x).to(x.dtype)

    return kernel


def _in_place(function: np.ufunc) -> Callable[[Tensor], Tensor]:
    def kernel(x: Tensor) -> Tensor:
        return x.copy_(_computed(function, x))

    return kernel


def _into(function: np.ufunc) -> Callable[..., Tensor]:
    def kernel(x: Tensor, *, out: Tensor) -> Tensor:
        return out.resize_(x.shape).copy_(_computed(function, x))

    return kernel


def _fft_r2c(x: Tensor, dim: Sequence[int], normalization: int, onesided: bool) -> Tensor:
    transform = np.fft.rfftn if onesided else np.fft.fftn
    norm = ("backward", "ortho", "forward")[normalization]
    return torch.from_numpy(transform(_array(x), axes=tuple(dim), norm=norm))


def _fft_c2r(x: Tensor, dim: Sequence[int], normalization: int, last_dim_size: int) -> Tensor:
    sizes = [*(x.shape[d] for d in dim[:-1]), last_dim_size]
    norm = ("forward", "ortho", "backward")[normalization]
    return torch.from_numpy(np.fft.irfftn(_array(x), s=sizes, axes=tuple(dim), norm=norm))


def _svd(
    a: Tensor, full_matrices: bool = False, compute_uv: bool = True, *, driver: str | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    if not compute_uv:
        values = np.linalg.svd(_array(a), compute_uv=False)
        return a.new_empty(0), torch.from_numpy(values), a.new_empty(0)
    left, values, right = np.linalg.svd(_array(a), full_matrices=full_matrices)
    return torch.from_numpy(left), torch.from_numpy(values), torch.from_numpy(right)


def _eigh(a: Tensor, uplo: Literal["L", "U"] = "L", compute_v: bool = True) -> tuple[Tensor, Tensor]:
    if not compute_v:
        return torch.from_numpy(np.linalg.eigvalsh(_array(a), UPLO=uplo)), a.new_empty(0)
    values, vectors = np.linalg.eigh(_array(a), UPLO=uplo)
    return torch.from_numpy(values), torch.from_numpy(vectors)
