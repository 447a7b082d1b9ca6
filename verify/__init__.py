"""Exact nets, extracted programs, claims and their proofs. Imports no torch."""

import pipeline.missing_modules  # noqa: F401 (first: it says in one line what a command lacks)
from verify.certificate import Certificate
from verify.chain import overall
from verify.claims import Claim, Counterexample, Proved, Refuted, Subject, Unknown, Verdict
from verify.compact import CompactResult, prove_compact
from verify.exact_net import ExactNet, load_exact_net
from verify.float_student import FloatStudent, load_float_student
from verify.programs import Program, extract, load_program
from verify.prove import prove_program, prove_student
from verify.real_net import RealNet, load_real_net
from verify.relax import closes
from verify.results import Result
from verify.robust import RobustReport, radius, robustness
from verify.rounding import RoundingReport, analyse
from verify.run import Nets, Summary, verify_run
from verify.solver import Budget

__all__ = [
    "Budget",
    "Certificate",
    "Claim",
    "CompactResult",
    "Counterexample",
    "ExactNet",
    "FloatStudent",
    "Nets",
    "Program",
    "Proved",
    "RealNet",
    "Refuted",
    "Result",
    "RobustReport",
    "RoundingReport",
    "Subject",
    "Summary",
    "Unknown",
    "Verdict",
    "analyse",
    "closes",
    "extract",
    "load_exact_net",
    "load_float_student",
    "load_program",
    "load_real_net",
    "overall",
    "prove_compact",
    "prove_program",
    "prove_student",
    "radius",
    "robustness",
    "verify_run",
]
