"""The words that config files have for what tensors cannot say, and the settings that the command line takes."""

from __future__ import annotations

from typing import Literal

Activation = Literal["relu", "gelu", "gelu_tanh"]

ACTIVATIONS: dict[str, Activation] = {
    "relu": "relu",
    "ReLU": "relu",
    "gelu": "gelu",
    "GeLU": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_tanh": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
}
"""As TransformerLens spells them; ReLU and GeLU are those of Zhong et al. 2023, whose files do not say which."""

CAUSAL = {"causal": True, "bidirectional": False, "full": False}
ORIENTATIONS = {"xW": "xW", "Wx": "Wx"}
NORMALIZATIONS = {"none": "none", "LN": "LN", "LNPre": "LNPre"}

FIXED = {
    "eps": 1e-5,
    "parallel_attn_mlp": False,
    "use_attn_scale": True,
    "scale_attn_by_inverse_layer_idx": False,
    "positional_embedding_type": "standard",
    "gated_mlp": False,
    "use_local_attn": False,
    "final_rms": False,
    "attn_scores_soft_cap": -1,
    "output_logits_soft_cap": -1,
}
"""What a TransformerLens config may say only one way for a net of ours to compute the same."""

SETTINGS = {
    "act_fn": "relu, gelu (exact), gelu_tanh (also gelu_new, and GeLU as the pizza files spell it)",
    "attn_coeff": "c of pattern = c softmax(q k / sqrt(d_head)) + (1 - c), Zhong et al. 2023",
    "attention_dir": "causal, or bidirectional for no mask",
    "normalization_type": "none, LN, or LNPre (centred and scaled, weights folded away)",
    "tokens": '"a b", "a b =", "a op b"; a number in the place of = or op is that token',
    "orientation": "xW (TransformerLens: W_E is [d_vocab, d_model]) or Wx (pizza files), where a shape is square",
    "model_type": "of an MLP: A, B, C, D or X, where the tensors do not tell",
}
