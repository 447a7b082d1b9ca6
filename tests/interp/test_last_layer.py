"""Logits are what the neurons of the last layer read out, and what the rest of the stream does."""

from __future__ import annotations

from typing import Any, cast

import pytest
import torch

from interp.forward import evaluate
from interp.progress_measures import measure
from pipeline.errors import UserError
from pipeline.nets import (
    DeepTransformer,
    DeepTransformerConfig,
    MlpConfig,
    Net,
    NetConfig,
    QuadraticConfig,
    TransformerConfig,
    build_net,
    closed_form,
)
from pipeline.tasks import ModularTask

P, TASK = 7, ModularTask(7)
WIDTHS: dict[str, Any] = {"d_model": 8, "n_heads": 2, "d_head": 4, "d_mlp": 12}
DEEP = DeepTransformerConfig(P, P, P, **WIDTHS, pre_norm=False, equals=False, operator=False, softmax_share=0.5)
LINEAR: list[NetConfig] = [
    TransformerConfig(P, **WIDTHS),
    DEEP,
    MlpConfig(P, P, P, d_embed=5, widths=(9, 6), combine="sum", bias=True),
    QuadraticConfig(P, P, P, width=10),
]


def random_net(config: NetConfig) -> Net:
    torch.manual_seed(0)
    net = build_net(config).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(0, 0.5)
    return net


@pytest.mark.parametrize("config", LINEAR, ids=[config.KIND for config in LINEAR])
def test_without_its_neurons_a_net_loses_what_they_read_out(config: NetConfig) -> None:
    net = random_net(config)
    found = evaluate(net, TASK)
    last = max(name for name in net.hook_dict if name.endswith("hook_post"))
    with torch.no_grad():
        silent = net.run_with_hooks(torch.from_numpy(TASK.pairs()), fwd_hooks=[(last, lambda x, hook: 0 * x)])
        torch.testing.assert_close(net.readout(found.residual), found.logits)
    torch.testing.assert_close(found.logits - found.neurons @ found.neuron_readout, silent, atol=1e-4, rtol=1e-4)
    assert found.embedding.shape[0] == P


def test_behind_a_norm_the_neurons_are_scaled_as_it_scales_them() -> None:
    net = random_net(DeepTransformerConfig(P, P, P, **WIDTHS))
    assert isinstance(net, DeepTransformer)
    assert net.norm.gain is not None
    assert net.norm.bias is not None
    found = evaluate(net, TASK)
    with torch.no_grad():
        _, cache = net.run_with_cache(torch.from_numpy(TASK.pairs()))
        stream, post = cache["blocks.1.hook_resid_post"][:, -1], cache["blocks.1.hook_post"][:, -1]
        rest = stream - post @ net.state_dict()["blocks.1.w_out.weight"].T
        spread = (stream - stream.mean(1, keepdim=True)).square().mean(1, keepdim=True).add(1e-5).sqrt()
        normed = (rest - rest.mean(1, keepdim=True)) / spread * (1 + net.norm.gain) + net.norm.bias
        expected = net.unembed(normed)
    torch.testing.assert_close(found.logits - found.neurons @ found.neuron_readout, expected, atol=1e-4, rtol=1e-4)


def test_a_known_algorithm_is_seen_in_another_kind_of_net_and_noise_is_not() -> None:
    task = ModularTask(23)
    every = torch.arange(23 * 23)
    found = measure(closed_form(23, [3, 5]), task, every)
    assert (found.accuracy, found.scrubbed_accuracy) == (1, 1)
    # (cos a + cos b)^2 = 1 + cos(2a) / 2 + cos(2b) / 2 + 2 cos a cos b: 1 of a variance of 1 + 1/8 + 1/8
    assert found.neuron_localisation == pytest.approx(0.8, abs=1e-6)
    noise = measure(random_net(MlpConfig(23, 23, 23, d_embed=8, widths=(30,))), task, every)
    assert noise.scrubbed_accuracy < 0.2
    assert noise.explained < 0.2


def test_other_nets_are_refused() -> None:
    class Other(Net):
        def __init__(self) -> None:
            super().__init__()
            self.unembed = torch.nn.Linear(3, P, bias=False)

    with pytest.raises(UserError, match="net = Other: the measures know"):
        evaluate(cast(Net, Other()), TASK)
    with pytest.raises(ValueError, match="the net is for p = 7, the task for p = 5"):
        evaluate(random_net(DEEP), ModularTask(5))
