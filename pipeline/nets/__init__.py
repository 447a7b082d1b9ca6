"""Nets with TransformerLens hook points and a config that rebuilds them."""

from pipeline.nets.deep_transformer import DeepTransformer as DeepTransformer
from pipeline.nets.deep_transformer import DeepTransformerConfig as DeepTransformerConfig
from pipeline.nets.mlp import Mlp as Mlp
from pipeline.nets.mlp import MlpConfig as MlpConfig
from pipeline.nets.net import Net as Net
from pipeline.nets.net import NetConfig as NetConfig
from pipeline.nets.quadratic import Quadratic as Quadratic
from pipeline.nets.quadratic import QuadraticConfig as QuadraticConfig
from pipeline.nets.quadratic import closed_form as closed_form
from pipeline.nets.recurrent import Recurrent as Recurrent
from pipeline.nets.recurrent import RecurrentConfig as RecurrentConfig
from pipeline.nets.registry import build_net as build_net
from pipeline.nets.registry import config_for as config_for
from pipeline.nets.registry import config_from as config_from
from pipeline.nets.registry import describe as describe
from pipeline.nets.transformer import Transformer as Transformer
from pipeline.nets.transformer import TransformerConfig as TransformerConfig
