"""Every mistake in params.yaml is one line that names the key, the value and the mend."""

import shutil
from pathlib import Path

import pytest
from pydantic import BaseModel

from pipeline.errors import UserError
from pipeline.experiment import TrainParams, TransformerParams
from pipeline.params import load_params, phases, room_params
from pipeline.recipe_files import OURS, known_recipes, load_phases, load_recipe
from pipeline.recipe_params import SCHEDULE_KEYS, RecipeParams, ScheduleParams

PARAMS = Path(__file__).parents[2] / "params.yaml"

MISTAKES = [
    ("p: 113", "p: 91", "tasks.modular.p = 91: not an odd prime", "such as 59, 97 or 113"),
    ("p: 113", "p: true", "tasks.modular.p = true", "give an odd prime"),
    ("p: 113", "p: 113.5", "tasks.modular.p = 113.5", "give an odd prime"),
    ("operation: addition", "operation: add", 'tasks.modular.operation = "add"', "choose one of addition"),
    ("train_fraction: 0.3", "train_fraction: 1.2", "tasks.modular.train_fraction = 1.2", "strictly between 0 and 1"),
    ("train_fraction: 0.3", "train_fraction: .nan", "tasks.modular.train_fraction = NaN", "strictly between 0 and 1"),
    ("train_fraction: 0.3", "train_fraction: 0.00001", "train_fraction = 1e-05 of 12769 pairs is not one", "raise it"),
    (
        "train_fraction",
        "trainfraction",
        "tasks.modular.trainfraction = 0.3: no such key",
        "did you mean train_fraction?",
    ),
    (
        "name: modular",
        "name: modula",
        'tasks.modular.name = "modula": no such task',
        "known: modular, permutation, addition",
    ),
    (
        "options: {base: 10}",
        "options: {bass: 10}",
        "tasks.addition: task = 'addition': it has no option 'bass'",
        "take",
    ),
    ("options: {base: 10}", "options: {base: 99}", "tasks.addition: base = 99", "from 2 to 16"),
    ("lengths: [4, 10, 40, 200]", "lengths: [4, 10, 10]", "tasks.addition.lengths = [4, 10, 10]", "each length once"),
    ("n_heads: 4", "n_heads: 3", "n_heads = 3", "does not divide d_model = 128"),
    ("kind: transformer", "kind: transformr", "'transformr'", "'transformer', 'recurrent'"),
    ("batch_size: null", "batch_size: 0", "train.modular.batch_size = 0", "a whole number from 1"),
    ("  modular-standard:", "  range:", "name 'range'", "choose another"),
    ("  modular-standard:", "  Stan/dard:", "name 'Stan/dard'", "lower-case"),
    ("{task: modular,", "{task: modula,", "experiments.modular-standard.task = 'modula': not in this file", "addition"),
    (
        "net: transformer,",
        "net: cnn,",
        "experiments.modular-standard.net = 'cnn': not in this file",
        "known: transformer",
    ),
    ("train: modular}", "train: long}", "experiments.modular-standard.train = 'long': not in this file", "modular"),
    ("recipe: standard, ", "", "experiments.modular-standard.recipe is missing", "add it"),
    ("operation: addition", "operation: sum", 'tasks.modular.operation = "sum"', "choose one of addition"),
    ("dense: 8", "dense: -1", "train.modular.snapshots.dense = -1", "from 0 to 1000"),
    ("steps: 500", "steps: 505", "steps = 505 is not a whole number of cycles", "cycle_steps = 10"),
    ("device: cpu", "device: tpu", 'train.modular.device = "tpu"', "choose auto, cpu or cuda"),
    ("table_bits: 7", "table_bits: 40", "compress.pairs.table_bits = 40", "from 3 to 12"),
    ("timeout: 240", "timeout: 0", "verify.timeout = 0", "above 0"),
    ("\nnets:", "\nnet: 3\nnets:", "net = 3: no such key", "did you mean nets?"),
    ("seed: 0\n", "seed: 0\n    seed: 1\n", "duplicate key", "seed"),
    ("tasks:", "tasks: [", "not valid YAML", ""),
    ("d_model: 128", "d_model: 1000000000", "nets.transformer.d_model = 1000000000", "from 1 to 16384"),
    ("d_mlp: 512", "d_mlp: -1", "nets.transformer.d_mlp = -1", "from 1 to 16384"),
    ("steps: 500", "steps: 1000000000", "train.modular.steps = 1000000000", "from 1 to 1000000"),
    ("batch_size: null", "batch_size: 1000000000", "train.modular.batch_size = 1000000000", "from 1 to 1000000"),
    (
        "replicates: 100 ",
        "replicates: 100000 ",
        "tasks.modular.p and interp.replicates make too many draws",
        "lower one",
    ),
    ("chains: 2", "chains: 5000", "interp.sampler.chains = 5000", "from 1 to 1000"),
    ("draws: 40", "draws: 1000000000", "interp.sampler.draws = 1000000000", "from 1 to 1000000"),
    ("key_frequencies: 3", "key_frequencies: 5000", "compress.pairs.key_frequencies = 5000", "from 1 to 1000"),
    ("units_per_frequency: 8", "units_per_frequency: 9999", "units_per_frequency = 9999", "from 1 to 1000"),
    ("key_frequencies: 3", "key_frequencies: 300", "attempts make too many hidden units: 3,300", "1,000 is the most"),
    ("timeout: 240", "timeout: 1e30", "verify.timeout = 1e+30", "at most 1,000,000"),
    ("n_state: 2", "n_state: 1000000000", "nets.recurrent.n_state = 1000000000", "from 1 to 4096"),
    ("examples: 400", "examples: 1000000000", "tasks.addition.examples = 1000000000", "from 1 to 500"),
    ("students: 16", "students: 1000000000", "compress.streams.students = 1000000000", "from 1 to 1000"),
    ("first_hidden: 16", "first_hidden: 1000000000", "first_hidden = 1000000000", "from 1 to 256"),
]

MISFITS = [
    ("d_model: 128", "d_model: 16384", "experiments.modular-standard: the widths of net make too many weights: 1,094,"),
    ("d_model: 128\n    n_heads: 4", "d_model: 8192\n    n_heads: 8192", "too many weights"),
    ("n_state: 2\n    n_hidden: 32", "n_state: 4096\n    n_hidden: 4096", "the widths of net make too many weights"),
    ("evaluated: 200", "evaluated: 1000000", "task.evaluated, task.lengths and net.n_hidden make too many numbers"),
    ("lengths: [4, 10, 40, 200]", "lengths: [4, 1000000]", "task.evaluated, task.lengths"),
    ("batch_size: null", "batch_size: 99999", "train.batch_size = 99999: there are 3830 training examples; lower it"),
    ("recipe: standard,", "recipe: addition_catapult,", "recipe addition_catapult: teach is for streams"),
    (
        "net: transformer, recipe: standard,",
        "net: recurrent, recipe: standard,",
        "kind = recurrent: reads streams of pairs",
    ),
    ("recipe: standard,", "recipe: standrad,", "recipe = 'standrad': not in train/recipes; known: adamw_tuned, "),
]
"""Every part is right by itself, and they do not make an experiment."""

RECIPE_MISTAKES = [
    ("catapult", "lr: 0.277", "lr: -0.277", "numbers.optimizer.lr = -0.277", "give a rate above 0"),
    ("catapult", "lr: 0.277", "lr: .inf", "numbers.optimizer.lr = Infinity", "give a rate above 0"),
    ("standard", "lr: 0.001", "lr: fast", 'numbers.optimizer.lr = "fast"', "give a rate above 0"),
    ("standard", "betas: [0.9, 0.98]", "betas: [0.9, 1.98]", "numbers.optimizer.betas.1 = 1.98", "not including, 1"),
    ("catapult", "kind: muon", "kind: moun", "'moun'", "'adamw', 'muon', 'lion'"),
    ("catapult", "momentum: 0.8", "momentun: 0.8", "numbers.optimizer.momentun = 0.8: no such key", "mean momentum?"),
    ("catapult", "  readout: {kind: adamw}", "  readout: {kind: muon}", "readout", "betas"),
    (
        "catapult",
        "kind: cyclic",
        "kind: cyclical",
        'structure.schedule.kind = "cyclical"',
        "constant, cosine, one_cycle",
    ),
    ("catapult", "growth: 1", "growth: 0", "numbers.schedule.growth = 0", "a whole number from 1"),
    ("catapult", "growth: 1,", "growth: 1000000000,", "numbers.schedule.growth = 1000000000", "from 1 to 1000000"),
    ("catapult", "peak: 1.0", "peek: 1.0", "schedule.peek = 1.0: no such key", "did you mean peak?"),
    ("catapult", "radius: 0.532", "radius: -1.0", "norm_penalty.radius = -1.0", "0 or more"),
    ("grokfast", "alpha: 0.98", "alpha: 1.0", "numbers.gradient.alpha = 1.0", "not including, 1"),
    ("grokfast", "kind: grokfast", "kind: grokslow", "'grokslow'", "'grokfast', 'perpendicular'"),
    ("grokfast", "lamb: 2.0", "lambda: 2.0", "numbers.gradient.lambda = 2.0: no such key", "did you mean lamb?"),
    ("lion_clipped", "{kind: rows,", "{kind: row,", 'structure.constraints.0.kind = "row"', "choose rows or spectral"),
    ("lion_clipped", "groups: [matrices]", "groups: [matrix]", 'constraints.0.groups.0 = "matrix"', "'embeddings'"),
    ("lion_clipped", "groups: [matrices]", "groups: []", "constraints.0.groups = []", "list some of matrices"),
    ("lion_clipped", "max_norm: 2.0", "max_norm: 0.0", "structure.constraints.0.max_norm = 0.0", "above 0"),
    ("standard", "loss: cross_entropy", "loss: hinge", 'structure.loss = "hinge"', "choose cross_entropy or stablemax"),
    ("standard", "temperature: 1.0", "dropout: 1.0", "numbers.dropout = 1.0", "not including, 1"),
    ("standard", "temperature: 1.0", "weight_noise: {value: -1.0}", "numbers.weight_noise.value = -1.0", "0 or more"),
    ("standard", "temperature: 1.0", "weight_noise: 0.25", "numbers.weight_noise = 0.25", "give such as {value: 0.3"),
    ("muon", "lr: 0.05", "lr: 0.0", "numbers.optimizer.lr = 0.0", "above 0"),
    ("consolidation", "rise: 0.1, anneal: 0.6", "rise: 0.9, anneal: 0.6", "so that it never holds", "lower one"),
    ("consolidation", "dead: 0.02", "dead: 2.0", "numbers.nuclear_norm.dead = 2.0", "from 0 to 1"),
    (
        "addition_catapult",
        "counterexamples: 16",
        "counterexamples: 99",
        "numbers.teach.counterexamples = 99",
        "0 to 64",
    ),
    ("catapult_consolidation", "until: 0.12", "until: 1.5", "phases.0.until = 1.5", "at most 1"),
    ("catapult_consolidation", "until: 1.0", "until: 0.5", "phases end at [0.12, 0.5]", "the last at 1.0"),
    ("catapult_consolidation", "until: 0.12", "until: 1.0", "phases end at [1.0, 1.0]", "later than the one before"),
    ("catapult_consolidation", "recipe: catapult,", "recipe: catapolt,", "recipe = 'catapolt'", "known: adamw_tuned"),
    ("catapult", "betas: [0.774, 0.993]", "betas: [0.774]", "numbers.embeddings.betas", "missing"),
    ("catapult", "schedule: {kind: cyclic}", "schedule: cyclic", "schedule", ""),
    ("standard", "tuned: null", "tuned: {on: x}", "tuned.trials is missing", "add it"),
    (
        "standard",
        "numbers:",
        "phases: [{recipe: muon, until: 1.0}]\nnumbers:",
        "give either structure and numbers",
        "phases",
    ),
    ("standard", "about:", "abuot:", "about is missing", "add it"),
]


@pytest.mark.parametrize(("old", "new", "names", "mends"), MISTAKES, ids=[new.strip() for _, new, _, _ in MISTAKES])
def test_a_mistake_names_key_value_and_mend_on_one_line(
    tmp_path: Path, old: str, new: str, names: str, mends: str
) -> None:
    path = tmp_path / "params.yaml"
    text = PARAMS.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        load_params(path)
    message = str(caught.value)
    assert names in message
    assert mends in message
    assert "\n" not in message


@pytest.mark.parametrize(("old", "new", "names"), MISFITS, ids=[new.strip() for _, new, _ in MISFITS])
def test_parts_that_make_no_experiment_are_told_in_one_line(tmp_path: Path, old: str, new: str, names: str) -> None:
    path = tmp_path / "params.yaml"
    assert old in PARAMS.read_text()
    path.write_text(PARAMS.read_text().replace(old, new, 1))
    params = load_params(path)

    def resolve() -> None:
        for name in params.experiments:
            params.experiment(name)

    with pytest.raises(UserError) as caught:
        resolve()
    assert names in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("recipe", "old", "new", "names", "mends"), RECIPE_MISTAKES, ids=[f"{r[0]} {r[2].strip()}" for r in RECIPE_MISTAKES]
)
def test_a_mistake_in_a_recipe_names_file_key_value_and_mend(
    tmp_path: Path, recipe: str, old: str, new: str, names: str, mends: str
) -> None:
    shutil.copytree(OURS, tmp_path, dirs_exist_ok=True)
    path = tmp_path / f"{recipe}.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        load_phases(recipe, tmp_path)
    message = str(caught.value)
    assert names in message
    assert mends in message
    assert f"{recipe}.yaml: " in message or "recipe = " in message
    assert "\n" not in message


def bomb(form: str) -> bytes:
    """Ten times ten times ten ... of the same value, by aliases in a list or by merged keys."""
    lines = ["a: &a0 {x: 1}"] + [f"b{i}: &a{i} {form.format(', '.join([f'*a{i - 1}'] * 10))}" for i in range(1, 12)]
    return "\n".join(lines).encode()


UNREADABLE = {
    "a circular anchor": (b"task: &t\n  again: *t\n", r"\*t in line 2 lies in &t itself"),
    "a circular list": (b"task: &t [*t]\n", r"\*t in line 1 lies in &t itself"),
    "an alias bomb": (bomb("[{}]"), "holds more than 50,000 values"),
    "a bomb of merges": (bomb("{{<<: [{}]}}"), "holds more than 50,000 values"),
    "no UTF-8": (b"task: 1\nname: \xe9t\xe9\n", r"not UTF-8 \(byte 0xe9 in line 2\); save it as UTF-8"),
    "UTF-16": ("task: 1".encode("utf-16"), r"not UTF-8 \(byte 0xff in line 1\)"),
    "a NUL": (b"task: \0\n", "not valid YAML: .*x0000"),
    "a tab": (b"task:\n\tp: 113\n", "not valid YAML: .*cannot start any token"),
    "a duplicate key": (b"task: 1\ntask: 2\n", 'duplicate key "task"'),
    "deep nesting": (b"task: " + b"[" * 100_000, "line 1 is nested deeper than 20"),
    "a tag": (b"task: !!python/name:os.system\n", "tag !!python/name:os.system in line 1 is not read"),
    "a date that there is not": (b"task: 2020-99-99\n", "not valid YAML: month must be in 1..12"),
    "a date": (b"task: 2020-01-01\n", "not JSON serializable; write text and numbers"),
    "a number of 5,000 digits": (b"task: " + b"9" * 5000, "not valid YAML: .*4300 digits"),
    "a key that is no text": (b"? [1]\n: 2\n", "keys must be .*; write text and numbers"),
    "two documents": (b"task: 1\n---\ntask: 2\n", "not valid YAML: expected a single document"),
    "two megabytes": (b"#" * (2 << 20), "larger than 1,048,576 bytes"),
    "nothing": (b"", "expected a mapping with the keys "),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_plain_yaml_is_one_line(tmp_path: Path, name: str) -> None:
    content, said = UNREADABLE[name]
    path = tmp_path / "params.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=said) as caught:
        load_params(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 400 + len(str(path))


def test_a_directory_in_place_of_the_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read: Is a directory; give a YAML file"):
        load_params(tmp_path)


def test_anchors_and_aliases_are_read(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    text = PARAMS.read_text().replace("options: {base: 10}", "options: &o {base: 10}", 1)
    path.write_text(text.replace("\n  transformer:  ", "\n  transformer: &n\n    <<: [{d_model: 64}]\n    #", 1))
    net = load_params(path).nets["transformer"]
    assert isinstance(net, TransformerParams)
    assert net.d_model == 128


def test_the_shipped_file_is_valid_and_frozen() -> None:
    params = load_params(PARAMS)
    assert [params.experiment(name).name for name in params.experiments] == list(params.experiments)
    with pytest.raises(ValueError, match="frozen"):
        params.tasks["modular"].p = 59  # type: ignore[misc, union-attr]


def test_scientific_notation_is_a_number(tmp_path: Path) -> None:
    shutil.copytree(OURS, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "standard.yaml"
    path.write_text(path.read_text().replace("lr: 0.001", "lr: 1e-3", 1))
    assert load_recipe("standard", tmp_path) == load_recipe("standard")


def test_the_shipped_file_writes_out_every_default() -> None:
    """A default that is not in the file would be a knob that `dvc params diff` cannot show.

    Two things a recipe may leave out, for neither is a knob that turns anything: a method that it does not use, whose
    default is null or empty; and what its kind of schedule does not read.
    """

    def may_be_left_out(values: BaseModel, name: str) -> bool:
        if isinstance(values, RecipeParams):
            return type(values).model_fields[name].default in (None, ())
        if isinstance(values, ScheduleParams):
            return getattr(values, name) == 0 or name not in SCHEDULE_KEYS[values.kind]
        return False

    def missing(values: object, where: str) -> list[str]:
        unset, children = [], list(values.items() if isinstance(values, dict) else [])
        if isinstance(values, BaseModel):
            names = type(values).model_fields
            unset = [
                name for name in names if name not in values.model_fields_set and not may_be_left_out(values, name)
            ]
            children = [(name, getattr(values, name)) for name in names]
        if isinstance(values, tuple):
            children = list(enumerate(values))
        below = [found for name, value in children for found in missing(value, f"{where}.{name}")]
        return [f"{where}.{name}" for name in unset] + below

    params = load_params(PARAMS)
    assert missing(params, "params") == []
    used = {phase.recipe for name in params.experiments for phase in params.experiment(name).phases}
    assert {name: found for name in used if (found := missing(load_recipe(name), name))} == {}
    assert missing(ScheduleParams(kind="cyclic"), "schedule") == ["schedule.peak", "schedule.growth"]


def test_every_recipe_can_be_read() -> None:
    assert {"standard", "catapult", "consolidation", "catapult_consolidation"} <= set(known_recipes())
    for name in known_recipes():
        assert load_phases(name)[-1][1] == 1


def test_unknown_experiment_and_missing_file() -> None:
    with pytest.raises(UserError, match=r"experiment = 'catapolt': not in params.yaml; known: modular-standard, "):
        load_params(PARAMS).experiment("catapolt")
    with pytest.raises(UserError, match="no such file"):
        load_params(Path("absent.yaml"))


def test_what_the_rooms_may_spend_has_one_default() -> None:
    """Outside the project, where there is no params.yaml, the rooms' commands do what they do within it."""
    shipped, defaults = load_params(PARAMS), room_params(Path("absent.yaml"))
    for section in ("interp", "compress", "verify"):
        assert getattr(shipped, section) == getattr(defaults, section)


def test_phases_end_at_whole_cycles_and_have_at_least_one() -> None:
    def ends(steps: int) -> list[int]:
        train = TrainParams(steps=steps, cycle_steps=10)
        return [phase.last_cycle for phase in phases("catapult_consolidation", train)]

    assert [ends(500), ends(100), ends(20), ends(70)] == [[6, 50], [1, 10], [1, 2], [1, 7]]
    with pytest.raises(UserError, match=r"makes 1 cycles, and catapult_consolidation has 2 phases: give more steps"):
        ends(10)
