"""Extract the program and prove every link: python -m stages.verify NAME -> proofs/NAME/.

A net that does not compute its task is a result, not an error: its certificate says Refuted and the stage succeeds.
What refutes a net on pairs is replayed on the torch net.
"""

from collections.abc import Callable
from pathlib import Path

from pipeline.files import snapshot_paths
from pipeline.params import load_params
from stages.command import chosen, logger, run_of, run_stage
from verify.claims import Counterexample, Refuted, Verdict
from verify.room import prove_last


def body() -> None:
    experiment, params = chosen("verify"), load_params().verify
    run, say = run_of(experiment), logger("verify", experiment)
    compressed, out = (Path(folder) / experiment.name for folder in ("compressed", "proofs"))
    summary = prove_last(run, compressed, out, params.timeout, say)
    replay(summary.verdict, run, say)
    print("\n".join(summary.lines()))


def replay(verdict: Verdict, run: Path, say: Callable[[str], None]) -> None:
    """What the torch net itself says to the pair that refutes the trained net.

    Raises RuntimeError where that is not what refuted it although every float32 evaluation has to say it.
    """
    if not (isinstance(verdict, Refuted) and isinstance(verdict.counterexample, Counterexample)):
        return
    found = verdict.counterexample
    if found.got_by != "the trained net":
        return
    import torch

    from pipeline.runs import load_snapshot

    with torch.no_grad():
        said = int(load_snapshot(snapshot_paths(run)[-1]).net(torch.tensor([[found.a, found.b]])).argmax())
    if verdict.in_float32 and said != found.got:
        raise RuntimeError(f"{found}, but the torch net says {said}")
    say(f"replayed on the torch net, which says {said}: {found}")


if __name__ == "__main__":
    run_stage("verify", body)
