"""Which heads, neurons and edges carry an answer: one method a file, all with one signature.

    clean, corrupted, metric = contrast(task, 128)
    attribution = attribution_patching(net, clean, corrupted, metric)

`clean` and `corrupted` are batches of pairs [batch, 2], `metric` maps logits [batch, answers] to [batch].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from interp.attribution.activation_patching import activation_patching as activation_patching
from interp.attribution.attribution_patching import attribution_patching as attribution_patching
from interp.attribution.direct_logit import direct_logit_attribution as direct_logit_attribution
from interp.attribution.edge_masks import edge_masks as edge_masks
from interp.attribution.edge_patching import edge_patching as edge_patching
from interp.attribution.integrated_gradients import integrated_gradients as integrated_gradients
from interp.attribution.metric import centred_logit as centred_logit
from interp.attribution.metric import contrast as contrast
from interp.attribution.metric import log_probability as log_probability
from interp.attribution.metric import logit_difference as logit_difference
from interp.attribution.result import Attribution as Attribution

METHODS: Mapping[str, Callable[..., Attribution]] = {
    method.__name__: method
    for method in (
        direct_logit_attribution,
        activation_patching,
        edge_patching,
        attribution_patching,
        integrated_gradients,
        edge_masks,
    )
}
"""All with the signature (net, clean, corrupted, metric, *, neurons=False)."""
