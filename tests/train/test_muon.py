"""Muon: what Newton-Schulz does to singular values, one matrix and a stack of them, and torch's own beside it."""

import pytest
import torch
from torch import nn

from train.muon import COEFFICIENTS, STEPS, Muon, orthogonalise

SHAPES = [(5, 9), (9, 5), (6, 6)]


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_go_through_the_polynomial_and_vectors_stay(shape: tuple[int, int]) -> None:
    """In exact arithmetic X -> a X + b (X X^T) X + c (X X^T)^2 X takes every s to a s + b s^3 + c s^5."""
    a, b, c = COEFFICIENTS
    matrix = normal(*shape).double()
    u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
    s = s / s.square().sum().sqrt()
    for _ in range(STEPS):
        s = a * s + b * s**3 + c * s**5
    assert torch.allclose(orthogonalise(matrix.float()[None])[0].double(), (u * s) @ vh, atol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("nesterov", [True, False])
def test_a_stack_is_its_matrices_one_by_one(shape: tuple[int, int], nesterov: bool) -> None:
    settings = {"lr": 0.1, "weight_decay": 0.2, "momentum": 0.8, "nesterov": nesterov}
    stack = nn.Parameter(normal(3, *shape))
    alone = [nn.Parameter(matrix.detach().clone()) for matrix in stack]
    theirs = [nn.Parameter(matrix.detach().clone()) for matrix in stack]
    optimizers = [Muon([stack], **settings), Muon(alone, **settings), torch.optim.Muon(theirs, **settings)]
    for step in range(4):
        stack.grad = normal(step + 3, *shape)[-3:]
        for matrices in (alone, theirs):
            for matrix, gradient in zip(matrices, stack.grad, strict=True):
                matrix.grad = gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    assert torch.allclose(stack, torch.stack(list(alone)), atol=1e-5)
    # torch's is in bfloat16, 1 part in 256 of steps of .1: not the same numbers, and the same method
    assert torch.allclose(stack, torch.stack(list(theirs)), atol=0.02)
