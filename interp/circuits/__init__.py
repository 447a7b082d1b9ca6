"""Circuits: sets of edges with a measured faithfulness."""

from interp.circuits.circuit import circuit_of as circuit_of
from interp.circuits.circuit import load_circuit as load_circuit
from interp.circuits.circuit import save_circuit as save_circuit
from interp.circuits.curve import Curve as Curve
from interp.circuits.curve import Evaluator as Evaluator
from interp.circuits.curve import curve as curve
from interp.circuits.curve import ranking as ranking
from interp.circuits.curve import smallest as smallest
from interp.circuits.find import circuit_of_net as circuit_of_net
from interp.circuits.find import find as find
from interp.circuits.necessity import changed_answers as changed_answers
from interp.circuits.necessity import minimal as minimal
from interp.circuits.necessity import prune as prune
from interp.circuits.scores import component_scores as component_scores
