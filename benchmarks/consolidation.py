"""python -m benchmarks.consolidation: which pressure simplifies a net, which makes it generalise, and from where?

A net is taken to a start, and from there through the phase `consolidation` of train/recipes or through that phase with
other pressures, the same steps and the same rates for all. Of the net at the end is counted what it has wrong, of all
p^2 inputs, how many neurons are live, how many frequencies carry the logits, its phase and its algorithm, and the share
of the edges that its circuit needs. A net that diverges counts as wrong on everything. One line of JSON a net goes to
--table; what is there already is not made again.

    --starts      untrained; standard or catapult, after the steps that it has in `standard_consolidation` or
                  `catapult_consolidation`; a recipe_N, such as standard_100, after N steps; random_labels and
                  all_pairs, fitted by AdamW without regularisation
    --pressures   phase (all of it), stop (no phase: the net as it is), none, noise, decay_X (weight decay X alone),
                  nuclear, group, both (the penalties without noise), phase_X (all with X times the penalties),
                  magnitude (neurons go by it, as many and as soon as they did in the phase from the same start)
    --summary     print the table of what --table holds, and train nothing
    --picture     with --summary: draw it into this SVG file as well
    --compare     with --summary: which cells have fewer inputs wrong than which, by the rule of consolidation.md
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.consolidation_table import Cell, comparisons, picture, summary
from benchmarks.defaults import modular_experiment, modular_task, pair_recipes, transformer
from benchmarks.emulation import EMULATIONS, emulate
from benchmarks.story import with_task
from pipeline.command_line import Parser, output_file
from pipeline.errors import UserError, reported
from pipeline.files import write_atomically
from pipeline.params import PipelineParams, load_params, phases
from pipeline.recipe_files import known_recipes, load_recipe
from pipeline.recipe_params import RecipeParams
from pipeline.validation import checked

IDENTITY = ("net", "p", "operation", "fraction", "start", "pressure", "seed", "kernels")
NETS = ("transformer", "mlp")
"""The net of params.yaml, or a perceptron of one hidden layer, as wide as that net's, on embeddings as wide."""
EVERY = 10
"""Steps after which the wrong inputs are counted."""
FITTED = {"random_labels": 300, "all_pairs": 150}
"""Steps of AdamW at rates of .001 and .01 that fit the labels."""
CONSOLIDATION = "consolidation"
"""The recipe of the phase; recipes that end with it are named after the one before it, as `standard_consolidation`."""


def recipe_of(pressure: str) -> RecipeParams:
    """The recipe `consolidation` with other pressures; its optimiser, rates and schedule stay."""
    values = load_recipe(CONSOLIDATION).model_dump(mode="json")
    kind, _, number = pressure.partition("_")
    strength = None
    if number or kind == "decay":
        try:
            strength = float(number)
        except ValueError:
            raise UserError(f"--pressures = {pressure!r}: give a number after {kind}_") from None
        if kind not in ("decay", "phase"):
            raise UserError(f"--pressures = {pressure!r}: {kind} takes no number; leave it out")
    alone = {"none", "noise", "decay", "nuclear", "group", "magnitude"}
    if kind in alone or pressure == "both":
        dropped = {"weight_noise": kind == "noise", "nuclear_norm": kind == "nuclear", "group_penalty": kind == "group"}
        if pressure == "both":
            dropped = {"weight_noise": False, "nuclear_norm": True, "group_penalty": True}
        values |= {name: None for name, kept in dropped.items() if not kept}
        values["optimizer"]["weight_decay"] = strength or 0.0
    elif kind == "phase":
        for name in ("nuclear_norm", "group_penalty"):
            values[name]["strength"]["value"] *= 1.0 if strength is None else strength
    else:
        raise UserError(f"--pressures = {pressure!r}: see --help for those that there are")
    return checked(values, RecipeParams, f"--pressures {pressure}")


def one(cell: Cell) -> Cell:
    """Train, consolidate and look; in a process of its own."""
    import copy

    import torch

    from interp.algorithms import name_algorithm
    from interp.circuits import circuit_of_net
    from interp.labels import label
    from interp.progress_measures import measure
    from train.divergence import Diverged
    from train.environment import prepare

    prepare()
    params = params_of(cell)
    given = modular_task(modular_experiment(params, "standard"))
    task = given.task()
    train = torch.from_numpy(task.split(given.train_fraction, cell["seed"])[0])
    stop = cell["pressure"] == "stop"
    try:
        net, counts = start_of(params, cell["start"], EVERY if stop else 0, cell["net"])
        found, before = {"wrong_before": counts[-1]}, copy.deepcopy(net)
        found |= outcome(counts) if stop else consolidated(params, cell, net)
    except Diverged:
        return cell | diverged(task.p)
    measures = measure(net, task, train, key_power=params.interp.key_power)
    named = name_algorithm(net, task, train)
    circuit = circuit_of_net(net, task, params.interp.faithfulness, train)
    assert circuit is not None
    kept = [bool(edge) for *_, edge in circuit.edges(data="in_circuit")]
    return (
        cell
        | found
        | {
            "live": measures.live_neurons,
            "frequencies": measures.key_frequencies,
            "phase": label(measures, task.p, params.interp.thresholds),
            "algorithm": named.name,
            "scrubbed": measures.scrubbed_accuracy,
            "circle_scrubbed": measures.circle_scrubbed_accuracy,
            "edges": sum(kept),
            "share": sum(kept) / len(kept),
            "faithfulness": circuit.graph["circuit"]["faithfulness"],
            "kept": None if stop else kept_of(before, net, task),
        }
    )


def kept_of(before: Any, after: Any, task: Any) -> list[float]:
    """Similarity of the circuits (interp.similarity), by integrated gradients to neurons, and its null control."""
    from interp.attribution import METHODS, contrast
    from interp.similarity import similarity, similarity_floor

    given = contrast(task, 128)
    one, other = (METHODS["integrated_gradients"](net, *given, neurons=True) for net in (before, after))
    return [similarity(one.edges, other.edges), similarity_floor(one.graph, one.edges, other.edges)]


def diverged(p: int) -> Cell:
    """The outcome of a net that has no finite weights: wrong on everything, and nothing in it is small."""
    named = {"phase": "diverged", "algorithm": "diverged", "right_from": None, "kept": None}
    numbers = {"live": 512, "frequencies": p // 2, "scrubbed": 0.0, "circle_scrubbed": 0.0, "edges": 0, "share": 1.0}
    return {"wrong_before": p * p, "wrong": p * p, "faithfulness": 0.0, **named, **numbers}


def params_of(cell: Cell) -> PipelineParams:
    params = with_task(load_params(), cell["seed"], cell["p"], cell["operation"])
    values = params.model_dump(mode="json")
    values["tasks"]["modular"]["train_fraction"] = cell["fraction"]
    return checked(values, PipelineParams, "--fraction")


def start_of(
    params: PipelineParams, start: str, looked_at: int = 0, kind: str = "transformer"
) -> tuple[Any, list[int]]:
    """The net at the start, and how many inputs it had wrong, every `looked_at` steps if not 0, and in the end."""
    import torch

    from benchmarks.phases import random_labels
    from pipeline.batch import Batch
    from pipeline.nets import MlpConfig, build_net
    from pipeline.recipe_params import AdamWParams
    from train.data import Batches, Data
    from train.loop import Budget, train_steps
    from train.recipes import initialise
    from train.run import first_net
    from train.step import Trainer

    name, steps = start_named(params, start)
    experiment = modular_experiment(params, name if name in pair_recipes() else "standard")
    given, budget, seed = modular_task(experiment), experiment.train, experiment.train.seed
    task, net = given.task(), first_net(experiment)
    if kind == "mlp":
        shape = transformer(experiment)
        net = build_net(MlpConfig(task.p, task.p, task.p, d_embed=shape.d_model, widths=(shape.d_mlp,)))
        initialise(net, experiment.parts.init, torch.Generator().manual_seed(seed))
    data = Data.of(given.split(seed))
    recipe, counts = experiment.parts, [wrong(net, task)] if looked_at else []
    if name in FITTED:
        pairs, answers = torch.from_numpy(task.pairs()), torch.from_numpy(task.answers())
        chosen = torch.from_numpy(task.split(given.train_fraction, seed)[0])
        labels = random_labels(task.p, seed)[chosen] if name == "random_labels" else answers
        shown = pairs[chosen] if name == "random_labels" else pairs
        data = Data(Batch(shown, labels), {})
        rate = 0.001 if name == "random_labels" else 0.01
        plain = AdamWParams(kind="adamw", lr=rate, weight_decay=0.0, betas=(0.9, 0.98))
        recipe = recipe.model_copy(update={"optimizer": plain})
    if name != "untrained":
        trainer = Trainer(net, recipe, seed)
        whole = Budget(max(steps, budget.steps), budget.cycle_steps, 10**6)
        for row in train_steps(trainer, Batches(data, None, seed), whole):
            if looked_at and row["step"] % looked_at == 0 and row["step"] < steps:
                counts.append(wrong(net, task))
            if row["step"] == steps:
                break
    return net, [*counts, wrong(net, task)]


def start_named(params: PipelineParams, start: str) -> tuple[str, int]:
    """What `standard_60`, `catapult` or `random_labels` begins with, and how many steps it takes."""
    name, _, number = start.rpartition("_") if start[-1:].isdigit() else (start, "", "")
    recipes = pair_recipes()
    known = {"untrained", *recipes, *FITTED}
    if name not in known or (number and name not in recipes):
        raise UserError(f"--starts = {start!r}: choose some of {', '.join(sorted(known))}, or standard_60")
    if number:
        return name, int(number)
    return name, own_start(params, name) if name in recipes else FITTED.get(name, 0)


def own_start(params: PipelineParams, recipe: str) -> int:
    """The steps after which the phase begins in the arm that begins with this recipe."""
    arms = consolidated_recipes()
    if recipe not in arms:
        mend = f"give its steps, such as {recipe}_60, or choose some of {', '.join(arms)}"
        raise UserError(f"--starts = {recipe!r}: train/recipes has no {recipe}_{CONSOLIDATION}; {mend}")
    budget = modular_experiment(params, recipe).train
    return phases(f"{recipe}_{CONSOLIDATION}", budget)[0].last_cycle * budget.cycle_steps


def consolidated_recipes() -> list[str]:
    """Recipes that have an arm in which the phase comes after them."""
    end = f"_{CONSOLIDATION}"
    return [name.removesuffix(end) for name in known_recipes() if name.endswith(end)]


def phase_steps(params: PipelineParams, start: str) -> int:
    """As in the pipeline for a recipe's own start; for all other starts what the latest of those leaves."""
    arms = consolidated_recipes()
    latest = max(own_start(params, recipe) for recipe in ([start] if start in arms else arms))
    return modular_experiment(params, "standard").train.steps - latest


def wrong(net: Any, task: Any) -> int:
    """Inputs, of all, on which the net is wrong."""
    import torch

    with torch.no_grad():
        return int((net(torch.from_numpy(task.pairs())).argmax(1).numpy() != task.answers()).sum())


def consolidated(params: PipelineParams, cell: Cell, net: Any) -> Cell:
    """Take the net through the phase, in place: wrong answers every EVERY steps, live neurons after each."""
    import copy

    import torch

    from train.data import Batches, Data
    from train.group_penalty import keep_alive, live_units, unit_sizes
    from train.loop import Budget, train_steps
    from train.step import Trainer

    experiment = modular_experiment(params, "standard")
    task, seed = modular_task(experiment).task(), experiment.train.seed
    steps = phase_steps(params, cell["start"])
    pace: list[int] = []
    if cell["pressure"] == "magnitude":
        pace = consolidated(params, cell | {"pressure": "phase"}, copy.deepcopy(net))["pace"]
    trainer = Trainer(net, recipe_of(cell["pressure"]), seed)
    data = Data.of(experiment.task.split(seed))
    counts, alive, layers = [wrong(net, task)], list[int](), net.hidden_units()
    fitted = 0.0
    stacks = {name: weight.detach()[None] for name, weight in net.named_parameters()}
    for row in train_steps(trainer, Batches(data, None, seed), Budget(steps, steps, 10**6)):
        if pace:
            (sizes,) = unit_sizes(stacks, layers)
            chosen = torch.zeros_like(sizes, dtype=torch.bool)
            chosen[0, sizes[0].argsort(descending=True, stable=True)[: pace[row["step"] - 1]]] = True
            keep_alive(stacks, layers, [chosen])
        fitted = row["train_accuracy"]
        alive.append(int(live_units(stacks, layers)[0].sum()))
        if row["step"] % EVERY == 0 or row["step"] == steps:
            counts.append(wrong(net, task))
    pace = alive if cell["pressure"] == "phase" else []
    return outcome(counts) | {"train_accuracy": fitted, "pace": pace}


def outcome(counts: Sequence[int]) -> Cell:
    """What is wrong in the end, and the step from which on nothing was, to EVERY steps; of counts every so many."""
    held = next((i for i in range(len(counts)) if not any(counts[i:])), None)
    return {"wrong": counts[-1], "right_from": None if held is None else EVERY * held}


def key(cell: Cell) -> tuple[Any, ...]:
    return tuple(cell[name] for name in IDENTITY)


def read(table: Path) -> list[Cell]:
    return [json.loads(line) for line in table.read_text().splitlines()] if table.exists() else []


def run(options: Namespace) -> Iterator[Cell]:
    """Every net that is not in the table yet, as soon as it is done."""
    emulate(options.kernels)
    there = {key(cell) for cell in read(options.table)} if options.table else set()
    cells = [
        {
            "p": p,
            "operation": options.operation,
            "fraction": fraction,
            "start": start,
            "pressure": pressure,
            "seed": seed,
            "net": options.net,
            "kernels": options.kernels,
        }
        for p in options.p
        for fraction in options.fraction
        for seed in range(options.first, options.first + options.seeds)
        for start in options.starts
        for pressure in options.pressures
    ]
    for cell in cells:  # a mistake is told before anything is trained
        start_named(params_of(cell), cell["start"])
        if cell["pressure"] != "stop":
            recipe_of(cell["pressure"])
    with ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in as_completed([pool.submit(one, cell) for cell in cells if key(cell) not in there]):
            yield done.result()


def main() -> int:
    parser = Parser(prog="python -m benchmarks.consolidation", description=__doc__)
    parser.add_argument("--p", type=int, nargs="+", default=[113], help="moduli, primes (default: 113)")
    parser.add_argument("--fraction", type=float, nargs="+", default=[0.3], help="shares shown (default: .3)")
    parser.add_argument("--net", default="transformer", choices=NETS, help="default: transformer")
    parser.add_argument("--operation", default="addition", choices=("addition", "subtraction"))
    parser.add_argument("--starts", nargs="+", default=["standard", "catapult"], metavar="START")
    parser.add_argument("--pressures", nargs="+", default=["phase"], metavar="PRESSURE")
    parser.add_argument("--seeds", type=int, default=10, help="how many seeds, from --first (default: 10)")
    parser.add_argument("--first", type=int, default=0, help="first seed (default: 0)")
    parser.add_argument("--kernels", default="same", choices=EMULATIONS, help="see benchmarks/emulation.py")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time (default: 2)")
    parser.add_argument("--table", type=Path, help="JSON lines to add to")
    parser.add_argument("--picture", type=output_file, help="with --summary: an SVG file to draw the table into")
    parser.add_argument("--compare", action="store_true", help="with --summary: which cells are better than which")
    parser.add_argument("--summary", action="store_true", help="print the table of --table and train nothing")
    options = parser.parse_args()
    if min(options.seeds, options.jobs) < 1:
        raise UserError(f"--seeds = {options.seeds}, --jobs = {options.jobs}: give whole numbers, 1 or more")
    if options.summary:
        if options.table is None:
            raise UserError("--summary: give the --table to sum up")
        cells = read(options.table)
        if not cells:
            raise UserError(f"--table = {options.table}: it holds no net; run the experiment with it first")
        print("\n".join(comparisons(cells) if options.compare else summary(cells)))
        if options.picture is not None:
            write_atomically(options.picture, picture(cells))
        return 0
    if options.picture is not None or options.compare:
        raise UserError("--picture, --compare: they are of a table that is there; give --summary too")
    found: list[Cell] = []
    for cell in run(options):
        found.append(cell)
        line = {name: value for name, value in cell.items() if name != "pace"}
        if options.table is not None:
            options.table.parent.mkdir(parents=True, exist_ok=True)
            with options.table.open("a") as file:
                file.write(json.dumps(line) + "\n")
        said = (
            f"{cell['wrong_before']} -> {cell['wrong']} wrong, {cell['live']} live, {cell['frequencies']} frequencies"
        )
        what = f"p {cell['p']} seed {cell['seed']} {cell['start']} {cell['pressure']}"
        print(f"{what}: {said}, {cell['algorithm']}, {cell['phase']}, {cell['share']:.1%} of the edges", flush=True)
    print("\n".join(summary(found)))
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.consolidation", main))
