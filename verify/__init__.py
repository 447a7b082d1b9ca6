"""Exact nets, extracted programs, claims and their proofs. Imports no torch."""

from verify.certificate import Certificate
from verify.claims import Claim, Counterexample, Kind, Proved, Refuted, Unknown, Verdict
from verify.exact_net import ExactNet, load_exact_net
from verify.float_net import FloatNet, load_float_net
from verify.programs import Program, extract, load_program
from verify.prove import Result, check_trained, overall, prove_program, prove_student
from verify.relax import closes
from verify.run import Summary, verify_run
from verify.solver import Budget

__all__ = [
    "Budget",
    "Certificate",
    "Claim",
    "Counterexample",
    "ExactNet",
    "FloatNet",
    "Kind",
    "Program",
    "Proved",
    "Refuted",
    "Result",
    "Summary",
    "Unknown",
    "Verdict",
    "check_trained",
    "closes",
    "extract",
    "load_exact_net",
    "load_float_net",
    "load_program",
    "overall",
    "prove_program",
    "prove_student",
    "verify_run",
]
