"""GraphML (Brandes et al. 2002), for yEd, Gephi, Cytoscape and igraph: all nodes and edges."""

from __future__ import annotations

from typing import Any

import networkx as nx


def to_graphml(circuit: nx.DiGraph) -> str:
    """Attributes that are None are left out; spectra and what else is no scalar of a node or edge too.

    Nodes get their name as `label` and edges |score| as `weight`, which is where Gephi and igraph look for both.
    """
    edges = circuit.edges(data=True)
    flat = nx.DiGraph(**_scalars(circuit.graph))
    flat.add_nodes_from((name, {"label": name, **_scalars(data)}) for name, data in circuit.nodes(data=True))
    flat.add_edges_from((s, r, {"weight": abs(data["score"] or 0.0), **_scalars(data)}) for s, r, data in edges)
    return "\n".join(nx.generate_graphml(flat)) + "\n"


def _scalars(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in attributes.items() if isinstance(value, (bool, int, float, str))}
