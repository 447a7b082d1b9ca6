"""Extract the program and prove every link: python -m stages.verify RECIPE -> proofs/<key>/.

A net that does not add is a result, not an error: its certificate says Refuted and the stage succeeds. What refutes the
trained net is replayed on the torch net.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.files import snapshot_paths
from pipeline.params import load_params
from stages.command import one_argument, run_stage
from verify.claims import Counterexample, Refuted
from verify.run import Nets, verify_run


def body() -> None:
    params = load_params()
    key = params.run_key(one_argument("verify", "RECIPE"))
    trained, compressed = snapshot_paths(Path("runs") / key)[-1], Path("compressed") / key
    student = compressed / "student_float.safetensors"  # none where the integer student is the net's own core
    nets = Nets(
        trained=trained,
        pruned=compressed / "pruned.safetensors",
        student=student if student.exists() else None,
        integer=compressed / "student.safetensors",
    )

    def say(text: str) -> None:
        print(f"verify {key}: {text}", file=sys.stderr, flush=True)

    summary = verify_run(nets, Path("proofs") / key, params.verify.timeout, say)
    verdict = summary.verdict
    if isinstance(verdict, Refuted) and isinstance(verdict.counterexample, Counterexample):
        replay(verdict.counterexample, verdict.in_float32, trained, say)
    print("\n".join(summary.lines()))


def replay(found: Counterexample, in_float32: bool, snapshot: Path, say: Callable[[str], None]) -> None:
    """What the torch net itself says to the pair.

    Raises RuntimeError where that is not what refuted it although every float32 evaluation has to say it.
    """
    if found.got_by != "the trained net":
        return
    import torch

    from pipeline.runs import load_snapshot

    with torch.no_grad():
        said = int(load_snapshot(snapshot).net(torch.tensor([[found.a, found.b]])).argmax())
    if in_float32 and said != found.got:
        raise RuntimeError(f"{found}, but the torch net says {said}")
    say(f"replayed on the torch net, which says {said}: {found}")


if __name__ == "__main__":
    run_stage("verify", body)
