"""Nets with TransformerLens hook points and a config that rebuilds them."""

from pipeline.nets.transformer import Transformer as Transformer
from pipeline.nets.transformer import TransformerConfig as TransformerConfig
