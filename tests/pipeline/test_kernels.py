"""What replaces kernels of torch computes the same: every layout, in place and into a tensor, and backward."""

import os
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.instruction_set import SWITCH, has_instruction_set, is_held
from pipeline.kernels import FUNCTIONS, settle


@pytest.fixture(autouse=True)
def settled() -> None:
    settle()


def normal(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape))).to(dtype)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "transposed": lambda x: x.mT.contiguous().mT,
    "strided": lambda x: torch.stack([x, x], dim=-1)[..., 0],
    "expanded": lambda x: x[..., :1, :].expand(x.shape),
    "expanded columns": lambda x: x[..., :1].expand(x.shape),
    "a part": lambda x: torch.cat([x, x], dim=-1)[..., : x.shape[-1]],
    "a row": lambda x: x[..., :1, :],
    "one for all": lambda x: x[:1].expand(x.shape),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
def test_products(left: str, right: str, dtype: torch.dtype) -> None:
    a, b = LAYOUTS[left](normal(2, 5, 7, dtype=dtype)), LAYOUTS[right](normal(2, 9, 7, dtype=dtype)).mT
    exact = np.einsum("sik,skj->sij", a.double().numpy(), b.double().numpy())
    atol, rtol = (0.1, 1e-2) if dtype == torch.bfloat16 else (1e-5, 1e-5)
    for got, wanted in (
        (torch.bmm(a, b), exact),
        (a @ b, exact),
        (a[0] @ b[1], a[0].double().numpy() @ b[1].double().numpy()),
        (torch.addmm(b[0, 0], a[0], b[0], beta=0.5, alpha=2), 0.5 * b[0, 0].double().numpy() + 2 * exact[0]),
        (torch.addmm(torch.full_like(b[0, 0], torch.nan), a[0], b[0], beta=0), exact[0]),
        (torch.baddbmm(a[:, :, :1], a, b, beta=3), 3 * a[:, :, :1].double().numpy() + exact),
        (a[0] @ b[0, :, 0], exact[0, :, 0]),
        (torch.dot(a[0, 0], b[0, :, 0]), exact[0, 0, 0]),
    ):
        assert got.dtype == dtype
        np.testing.assert_allclose(got.double().numpy(), wanted, atol=atol, rtol=rtol)


@pytest.mark.skipif(not is_held(), reason="torch's own kernels")
def test_one_matrix_for_a_stack_of_another_size_is_refused() -> None:
    with pytest.raises((RuntimeError, ValueError)):
        torch.bmm(normal(3, 4, 5), normal(1, 5, 6).expand(2, 5, 6))


def test_products_without_rows_and_of_integers() -> None:
    assert (torch.zeros(0, 3) @ torch.zeros(3, 2)).shape == (0, 2)
    assert torch.equal(torch.zeros(2, 0) @ torch.zeros(0, 3), torch.zeros(2, 3))
    assert (torch.tensor([[2, 3]]) @ torch.tensor([[5], [7]])).item() == 31


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_one_number(name: str, dtype: torch.dtype) -> None:
    x = normal(4, 6, dtype=dtype).abs() + 0.5
    exact = getattr(np, name)(x.numpy().astype(np.longdouble)).astype(np.float64)
    rtol = 1e-6 if dtype == torch.float32 else 1e-14
    function, out = getattr(torch, name), torch.empty(0, dtype=dtype)
    function(x, out=out)
    for got in (function(x), function(x.T).T, getattr(x.clone(), f"{name}_")(), out):
        assert got.dtype == dtype
        np.testing.assert_allclose(got.double().numpy(), exact, rtol=rtol)
    part = torch.zeros(4, 12, dtype=dtype)
    part[:, ::2] = x
    getattr(part[:, ::2], f"{name}_")()
    np.testing.assert_allclose(part[:, ::2].double().numpy(), exact, rtol=rtol)
    assert not part[:, 1::2].any()
    assert function(torch.tensor(1)).dtype == torch.float32
    np.testing.assert_allclose(function(x[0, 0]).item(), exact[0, 0], rtol=rtol)


def test_outside_their_domain_they_warn_of_nothing() -> None:
    assert torch.tensor([-1.0, 0.0]).log().tolist()[1] == -torch.inf
    assert torch.tensor(-1.0).sqrt().isnan()
    assert torch.tensor(1000.0).exp().isinf()


@pytest.mark.parametrize("n", [6, 7])
def test_transforms(n: int) -> None:
    x, angle = normal(3, n, dtype=torch.float64), -2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n
    exact = x.numpy() @ np.exp(angle)
    for norm, scale in ((None, 1.0), ("ortho", n**-0.5), ("forward", 1 / n)):
        half = torch.fft.rfft(x, dim=1, norm=norm)
        np.testing.assert_allclose(half.numpy(), exact[:, : n // 2 + 1] * scale, atol=1e-12)
        np.testing.assert_allclose(torch.fft.irfft(half, n=n, dim=1, norm=norm).numpy(), x.numpy(), atol=1e-12)
        np.testing.assert_allclose(torch.fft.fft(x, dim=1, norm=norm).numpy(), exact * scale, atol=1e-12)
    back = torch.fft.irfft2(torch.fft.rfft2(x), s=x.shape)
    np.testing.assert_allclose(back.numpy(), x.numpy(), atol=1e-12)


def test_decompositions() -> None:
    a = normal(2, 5, 3, dtype=torch.float64)
    for whole in (True, False):
        u, s, vh = torch.linalg.svd(a, full_matrices=whole)
        assert torch.allclose((u[..., :3] * s[..., None, :]) @ vh, a)
    assert torch.allclose(torch.linalg.svdvals(a), s)
    gram = a.mT @ a
    values, vectors = torch.linalg.eigh(gram)
    assert torch.allclose((vectors * values[..., None, :]) @ vectors.mT, gram)
    assert torch.allclose(torch.linalg.eigvalsh(gram), s.square().flip(-1))
    assert torch.allclose(torch.linalg.matrix_norm(a[0], ord=2), s[0, 0])


def test_backward_passes_go_through() -> None:
    def everything(x: Tensor, y: Tensor) -> Tensor:
        z = (x @ y).exp().logsumexp(dim=1) + (x.abs() + 1).sqrt().sum(1) + (x @ y[:, 0]).cos()
        return z + torch.baddbmm(x[None], x[None], (y @ y)[None])[0].sum(1)

    x, y = (normal(*shape, dtype=torch.float64).div(4).requires_grad_() for shape in ((4, 3), (3, 3)))
    assert torch.autograd.gradcheck(lambda x, y: everything(x, y.mT), (x, y))


def test_this_process_was_told_in_time() -> None:
    """Else every test here, and every run, is of the libraries' own kernels where the processor has ours."""
    assert is_held() == (has_instruction_set() and os.environ.get(SWITCH, "same") == "same")
