"""Exact nets, extracted programs, claims and their proofs. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.lazy import lazily

if TYPE_CHECKING:
    from verify.certificate import Certificate as Certificate
    from verify.chain import overall as overall
    from verify.claims import Claim as Claim
    from verify.claims import Counterexample as Counterexample
    from verify.claims import Proved as Proved
    from verify.claims import Refuted as Refuted
    from verify.claims import Subject as Subject
    from verify.claims import Unknown as Unknown
    from verify.claims import Verdict as Verdict
    from verify.compact import CompactResult as CompactResult
    from verify.compact import prove_compact as prove_compact
    from verify.exact_net import ExactNet as ExactNet
    from verify.exact_net import load_exact_net as load_exact_net
    from verify.float_student import FloatStudent as FloatStudent
    from verify.float_student import load_float_student as load_float_student
    from verify.programs import Program as Program
    from verify.programs import extract as extract
    from verify.programs import load_program as load_program
    from verify.prove import prove_program as prove_program
    from verify.prove import prove_student as prove_student
    from verify.real_net import RealNet as RealNet
    from verify.real_net import load_real_net as load_real_net
    from verify.relax import closes as closes
    from verify.results import Result as Result
    from verify.robust import RobustReport as RobustReport
    from verify.robust import radius as radius
    from verify.robust import robustness as robustness
    from verify.rounding import RoundingReport as RoundingReport
    from verify.rounding import analyse as analyse
    from verify.run import Nets as Nets
    from verify.run import Summary as Summary
    from verify.run import verify_run as verify_run
    from verify.solver import Budget as Budget

__getattr__ = lazily(__name__, __file__)
