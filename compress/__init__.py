"""From a trained net to the smallest thing that computes the same: pruning, distillation, integer weights, the ladder.

Names are imported when they are first used: torch and TransformerLens take seconds, and `--help` needs neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lazy import lazily

if TYPE_CHECKING:
    from compress.closing import Closing as Closing
    from compress.closing import measure_closing as measure_closing
    from compress.distill import Distilled as Distilled
    from compress.distill import DistillOptions as DistillOptions
    from compress.distill import distill_student as distill_student
    from compress.ladder import Compressed as Compressed
    from compress.ladder import Ladder as Ladder
    from compress.ladder import Rung as Rung
    from compress.ladder import compress_net as compress_net
    from compress.ladder import compress_run as compress_run
    from compress.prune import Pruned as Pruned
    from compress.prune import prune_net as prune_net
    from compress.prune import prune_to as prune_to
    from compress.quantize import QuantizeOptions as QuantizeOptions
    from compress.quantize import quantize_student as quantize_student
    from compress.student import Student as Student
    from compress.student import load_student as load_student
    from compress.student import save_student as save_student
    from compress.teacher import Teacher as Teacher
    from compress.teacher import key_frequencies as key_frequencies
    from compress.teacher import observe as observe
    from compress.teacher import spectrum as spectrum

__getattr__ = lazily(__name__, __file__)
