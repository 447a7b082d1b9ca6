"""SMT-LIB text: the few phrases that the encodings are written in.

The encoder writes text, and that very text is hashed, stored and given to the solver; nothing stands between what a
reader of an obligation sees and what was decided. Any SMT-LIB 2 solver can be given the same files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Obligation:
    """One formula whose unsatisfiability closes a part of a proof: a model of it would be a mistake of the net."""

    name: str
    sentence: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def width(largest: int) -> int:
    """Bits that hold every integer in [0, largest]."""
    if largest < 0:
        raise ValueError(f"largest = {largest}: an unsigned width needs a non-negative bound")
    return max(1, int(largest).bit_length())


def bits(value: int, size: int) -> str:
    """`value` as a bit-vector literal of `size` bits; it must fit."""
    if not 0 <= value < 1 << size:
        raise ValueError(f"value = {value}: does not fit {size} bits")
    return f"(_ bv{value} {size})"


def integer(value: int) -> str:
    return str(value) if value >= 0 else f"(- {-value})"


def extend(term: str, old: int, new: int) -> str:
    """`term` of `old` bits, zero-extended to `new` bits."""
    if new < old:
        raise ValueError(f"width = {new}: narrower than the term's {old} bits")
    return term if new == old else f"((_ zero_extend {new - old}) {term})"


def narrow(term: str, old: int, new: int) -> str:
    """The low `new` bits of `term`; the caller has shown that the value fits."""
    return term if new == old else f"((_ extract {new - 1} 0) {term})"


def table(name: str, entries: Sequence[int], index_bits: int, size: int) -> str:
    """A look-up `name(x) = entries[x]` as a balanced tree of ifs over the bits of x, the top bit first.

    An x beyond the last entry reads some entry or other: the caller constrains x.
    """
    if not 0 < len(entries) <= 1 << index_bits:
        raise ValueError(f"entries = {len(entries)}: between 1 and {1 << index_bits} fit an index of {index_bits} bits")

    def tree(low: int, bit: int) -> str:
        if bit < 0:
            return bits(entries[low], size)
        middle = low + (1 << bit)
        left = tree(low, bit - 1)
        right = tree(middle, bit - 1) if middle < len(entries) else left
        return left if left == right else f"(ite x{bit} {right} {left})"

    names = " ".join(f"(x{i} (= ((_ extract {i} {i}) x) #b1))" for i in range(index_bits))
    return (
        f"(define-fun {name} ((x (_ BitVec {index_bits}))) (_ BitVec {size})\n"
        f"  (let ({names})\n    {tree(0, index_bits - 1)}))"
    )


def fold(operator: str, terms: Iterable[str], empty: str) -> str:
    """`(operator t1 t2 ...)`, or the one term, or `empty` where there is none."""
    terms = list(terms)
    if not terms:
        return empty
    return terms[0] if len(terms) == 1 else f"({operator} {' '.join(terms)})"


def script(logic: str, sentence: str, lines: Iterable[str]) -> str:
    """A whole SMT-LIB file: a comment, the logic, the lines, check-sat."""
    return "\n".join(
        [f"; {sentence}", "; unsat closes the obligation", f"(set-logic {logic})", *lines, "(check-sat)", ""]
    )
