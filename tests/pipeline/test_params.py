"""Every mistake in params.yaml is one line that names the key, the value and the mend."""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

from pipeline.errors import UserError
from pipeline.params import PipelineParams, RecipeParams, ScheduleParams, load_params
from pipeline.recipe_params import SCHEDULE_KEYS

PARAMS = Path(__file__).parents[2] / "params.yaml"

MISTAKES = [
    ("p: 113", "p: 91", "task.p = 91: not an odd prime", "such as 59, 97 or 113"),
    ("p: 113", "p: true", "task.p = true", "give an odd prime"),
    ("p: 113", "p: 113.5", "task.p = 113.5", "give an odd prime"),
    ("operation: addition", "operation: add", 'task.operation = "add"', "choose one of addition"),
    ("train_fraction: 0.3", "train_fraction: 1.2", "task.train_fraction = 1.2", "strictly between 0 and 1"),
    ("train_fraction: 0.3", "train_fraction: .nan", "task.train_fraction = NaN", "strictly between 0 and 1"),
    ("train_fraction: 0.3", "train_fraction: 0.00001", "train_fraction = 1e-05 of 12769 pairs is not one", "raise it"),
    ("train_fraction", "trainfraction", "task.trainfraction = 0.3: no such key", "did you mean train_fraction?"),
    ("n_heads: 4", "n_heads: 3", "n_heads = 3", "does not divide d_model = 128"),
    ("lr: 0.277", "lr: -0.277", "recipes.catapult.optimizer.lr = -0.277", "give a rate above 0"),
    ("lr: 0.277", "lr: .inf", "recipes.catapult.optimizer.lr = Infinity", "give a rate above 0"),
    ("lr: 0.001", "lr: fast", 'recipes.standard.optimizer.lr = "fast"', "give a rate above 0"),
    ("betas: [0.9, 0.98]", "betas: [0.9, 1.98]", "recipes.standard.optimizer.betas.1 = 1.98", "not including, 1"),
    ("kind: muon", "kind: moun", "'moun'", "'adamw', 'muon', 'lion'"),
    ("momentum: 0.8", "momentun: 0.8", "optimizer.momentun = 0.8: no such key", "did you mean momentum?"),
    (
        "readout: null",
        "readout: {kind: muon, lr: 0.1, weight_decay: 0.0}",
        "readout would be trained",
        "give it an adamw",
    ),
    ("kind: cyclic", "kind: cyclical", 'schedule.kind = "cyclical"', "choose one of constant, cosine, one_cycle"),
    ("growth: 1", "growth: 0", "recipes.catapult.schedule.growth = 0", "a whole number from 1"),
    ("peak: 1.0", "peek: 1.0", "schedule.peek = 1.0: no such key", "did you mean peak?"),
    ("alpha: 0.98", "alpha: 1.0", "recipes.grokfast.gradient.alpha = 1.0", "not including, 1"),
    ("kind: grokfast", "kind: grokslow", "'grokslow'", "'grokfast', 'perpendicular'"),
    ("lamb: 2.0", "lambda: 2.0", "recipes.grokfast.gradient.lambda = 2.0: no such key", "did you mean lamb?"),
    ("{kind: rows,", "{kind: row,", 'recipes.lion_clipped.constraints.0.kind = "row"', "choose rows or spectral"),
    ("groups: [matrices]", "groups: [matrix]", 'constraints.0.groups.0 = "matrix"', "'matrices', 'embeddings'"),
    ("groups: [matrices]", "groups: []", "constraints.0.groups = []", "list some of matrices"),
    ("max_norm: 2.0", "max_norm: 0.0", "recipes.lion_clipped.constraints.0.max_norm = 0.0", "above 0"),
    ("loss: cross_entropy", "loss: hinge", 'recipes.standard.loss = "hinge"', "choose cross_entropy or stablemax"),
    ("norm_penalty: null", "dropout: 1.0", "recipes.standard.dropout = 1.0", "not including, 1"),
    ("norm_penalty: null", "weight_noise: {value: -1.0}", "recipes.standard.weight_noise.value = -1.0", "0 or more"),
    ("radius: 0.532", "radius: -1.0", "norm_penalty.radius = -1.0", "0 or more"),
    ("lr: 0.05, weight_decay: 1.0, m", "lr: 0.0, weight_decay: 1.0, m", "recipes.muon.optimizer.lr = 0.0", "above 0"),
    ("batch_size: null", "batch_size: 0", "train.batch_size = 0", "a whole number from 1"),
    ("  standard:", "  range:", "recipe name 'range'", "choose another"),
    ("operation: addition", "operation: multiplication", "task.operation = 'multiplication': the", "choose"),
    ("operation: addition", "operation: sum", 'task.operation = "sum"', "choose one of addition"),
    ("catapult: 0.12", "catapult: 1.5", "consolidation.after.catapult = 1.5", "strictly between 0 and 1"),
    ("{standard: 0.12, catapult: 0.12}", "0.06", "consolidation.after = 0.06", "shares by recipe"),
    ("{standard: 0.12, catapult: 0.12}", "{}", "consolidation.after = {}", "shares by recipe"),
    ("norm_penalty: null", "weight_noise: 0.25", "recipes.standard.weight_noise = 0.25", "give such as {value: 0.3"),
    ("catapult: 0.12", "catapolt: 0.12", "consolidation.after = 'catapolt'", "take it out"),
    ("  consolidation:  ", "  consolidate:  ", "recipes has no 'consolidation'", "add that recipe"),
    ("dense: 12", "dense: -1", "train.snapshots.dense = -1", "from 0 to 1000"),
    ("rise: 0.1, anneal: 0.6", "rise: 0.9, anneal: 0.6", "so that it never holds", "lower one"),
    ("dead: 0.02", "dead: 2.0", "recipes.consolidation.nuclear_norm.dead = 2.0", "from 0 to 1"),
    ("steps: 500", "steps: 505", "steps = 505 is not a whole number of cycles", "cycle_steps = 10"),
    ("device: cpu", "device: tpu", 'train.device = "tpu"', "choose auto, cpu or cuda"),
    ("table_bits: 7", "table_bits: 40", "compress.table_bits = 40", "from 3 to 12"),
    ("timeout: 240", "timeout: 0", "verify.timeout = 0", "above 0"),
    ("\nnet:", "\nnetwork: 3\nnet:", "network = 3: no such key", "did you mean net?"),
    ("  standard:", "  Stan/dard:", "recipe name 'Stan/dard'", "lower-case"),
    ("seed: 0\n", "seed: 0\n  seed: 1\n", "duplicate key", "seed"),
    ("task:", "task: [", "not valid YAML", ""),
    ("d_model: 128", "d_model: 1000000000", "net.d_model = 1000000000", "from 1 to 16384"),
    ("d_model: 128", "d_model: 16384", "net.d_model and net.d_mlp make too many weights: 1,094,", "lower one"),
    ("d_mlp: 512", "d_mlp: -1", "net.d_mlp = -1", "from 1 to 16384"),
    ("d_model: 128\n  n_heads: 4", "d_model: 8192\n  n_heads: 8192", "too many weights", "lower one"),
    ("steps: 500", "steps: 1000000000", "train.steps = 1000000000", "from 1 to 1000000"),
    ("batch_size: null", "batch_size: 1000000000", "train.batch_size = 1000000000", "from 1 to 1000000"),
    ("growth: 1,", "growth: 1000000000,", "schedule.growth = 1000000000", "from 1 to 1000000"),
    ("replicates: 100 ", "replicates: 100000 ", "task.p and interp.replicates make too many draws", "lower one"),
    ("chains: 2", "chains: 5000", "interp.sampler.chains = 5000", "from 1 to 1000"),
    ("draws: 40", "draws: 1000000000", "interp.sampler.draws = 1000000000", "from 1 to 1000000"),
    ("key_frequencies: 3", "key_frequencies: 5000", "compress.key_frequencies = 5000", "from 1 to 1000"),
    ("units_per_frequency: 8", "units_per_frequency: 9999", "units_per_frequency = 9999", "from 1 to 1000"),
    ("key_frequencies: 3", "key_frequencies: 300", "attempts make too many hidden units: 3,300", "1,000 is the most"),
    ("timeout: 240", "timeout: 1e30", "verify.timeout = 1e+30", "at most 1,000,000"),
    ("n_state: 2", "n_state: 1000000000", "streaming.net.n_state = 1000000000", "from 1 to 4096"),
    ("n_state: 2\n    n_hidden: 32", "n_state: 4096\n    n_hidden: 4096", "n_state and net.n_hidden", "lower one"),
    ("evaluated: 200", "evaluated: 1000000", "train.evaluated, train.lengths and net.n_hidden", "lower one"),
    ("lengths: [4, 10, 40, 200]", "lengths: [4, 1000000]", "train.evaluated, train.lengths", "lower one"),
    ("examples: 400", "examples: 1000000000", "streaming.train.examples = 1000000000", "from 1 to 500"),
    ("students: 16", "students: 1000000000", "streaming.compress.students = 1000000000", "from 1 to 1000"),
    ("first_hidden: 16", "first_hidden: 1000000000", "first_hidden = 1000000000", "from 1 to 256"),
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
    text = PARAMS.read_text().replace("task: {name: addition, base: 10}", "task: &t {name: addition, base: 10}", 1)
    path.write_text(text.replace("\nnet:", "\nnet: &n\n  <<: [{d_model: 64}]", 1))
    assert load_params(path).net.d_model == 128


def test_the_shipped_file_is_valid_and_frozen() -> None:
    params = load_params(PARAMS)
    config = params.run_config("catapult")
    assert config.key == "modular-catapult-s0"
    with pytest.raises(ValueError, match="frozen"):
        params.task.p = 59  # type: ignore[misc]


def test_scientific_notation_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text().replace("lr: 0.001", "lr: 1e-3", 1))
    assert load_params(path).recipes["standard"].optimizer.lr == 1e-3


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
    assert missing(ScheduleParams(kind="cyclic"), "schedule") == ["schedule.peak", "schedule.growth"]


def test_the_digest_covers_every_value() -> None:
    params = load_params(PARAMS)
    config = params.run_config("catapult")
    changed = config.model_copy(update={"train": config.train.model_copy(update={"seed": 1})})
    assert config.digest() != changed.digest()
    assert config.digest() == params.run_config("catapult").digest()


def test_unknown_recipe_and_missing_file() -> None:
    with pytest.raises(UserError, match=r"recipe = 'catapolt'.*known: .*catapult, .*standard"):
        load_params(PARAMS).run_config("catapolt")
    with pytest.raises(UserError, match="no such file"):
        load_params(Path("absent.yaml"))


def test_the_consolidation_has_the_rest_of_the_budget_in_whole_cycles(tmp_path: Path) -> None:
    params = load_params(PARAMS)
    values = params.model_dump(mode="json")
    values["train"]["steps"], values["consolidation"]["after"] = 500, {"standard": 0.12, "catapult": 0.06}
    apart = PipelineParams.model_validate_json(json.dumps(values))
    for recipe, cycle in (("catapult", 3), ("standard", 6)):
        after, budget = apart.phase(recipe)
        assert (after, budget.steps, budget.cycle_steps) == (cycle, 500 - 10 * cycle, 10)

    def phase(steps: int, share: float) -> tuple[int, int]:
        values["train"]["steps"], values["consolidation"]["after"] = steps, {"standard": share}
        after, budget = PipelineParams.model_validate_json(json.dumps(values)).phase("standard")
        return after, budget.steps

    assert [phase(20, 0.01), phase(20, 0.99), phase(70, 0.5)] == [(1, 10), (1, 10), (4, 30)]
    with pytest.raises(UserError, match=r"train\.steps is one cycle"):
        phase(10, 0.5)
    with pytest.raises(UserError, match=r"consolidation\.after\.muon is missing"):
        params.phase("muon")
    assert params.run_key("catapult_consolidation") == "modular-catapult_consolidation-s0"
    with pytest.raises(UserError, match="recipe = 'catapolt': not in"):
        params.run_key("catapolt_consolidation")
