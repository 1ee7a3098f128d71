"""Write docs/the-post.md and docs/the-post.ko.md: the post's loops, run, and what was seen.

    python tools/make_the_post.py            write them anew
    python tools/make_the_post.py --check    say whether they are stale; exit code 1 if they are

The words are in tools/the_post/, with a name for each number; the numbers are seen in short runs.
"""

from __future__ import annotations

import contextlib
import io
import math
import sys
from pathlib import Path
from string import Template

from graphlab import catalogue
from graphlab.trace.finding import Finding, Place
from graphlab.trace.model import Trace

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"en": ROOT / "docs" / "the-post.md", "ko": ROOT / "docs" / "the-post.ko.md"}
STEPS = 8
# Images of each kind in a batch of the scenarios.
N = 64


def seen(name: str) -> tuple[Trace, dict[str, Finding]]:
    """A short run of a scenario, and the first of its findings of each code."""
    from graphlab.observe import program
    from graphlab.rules.registry import find

    script = program.script(str(catalogue.scenario(name).path))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        ran = program.run(script, ["--steps", str(STEPS), "--device", "cpu"], name)
    return ran.trace, {each.code: each for each in reversed(find(ran.trace))}


def line(place: Place | None) -> int:
    assert place is not None and place.at is not None
    return place.at.line


def call(finding: Finding) -> str:
    assert finding.failed is not None
    return finding.failed.what


def percent(part: float) -> str:
    return f"{part:.0%}"


def signed(cosine: float) -> str:
    return f"{cosine:.2f}".replace("-", "−")


def numbers() -> dict[str, object]:
    """What the pages name, as the runs show it."""
    found = clean_order() | errors() | mixtures()
    return found | {
        "steps": STEPS,
        "end_d": f"{math.log(4 * N / 3):.3f}",
        "end_g": f"{(math.log(4 * N / 3) + math.log(4 * N)) / 2:.3f}",
        "end_fair": f"{math.log(2 * N):.3f}",
    }


def clean_order() -> dict[str, object]:
    found: dict[str, object] = {}
    for name in ("detach", "recompute", "joint-isolated"):
        trace, findings = seen(name)
        problems = [each for each in findings.values() if each.severity != "info"]
        assert trace.outcome == "completed" and not problems, name
        if name == "detach":
            device = trace.environment.device.upper()
            found |= {"torch": trace.environment.torch.partition("+")[0], "device": device}
        for info in trace.optimizers:
            key = info.name[-1].lower()
            if name == "recompute":
                found |= {
                    f"{key}_owns": len(info.owns), f"{key}_touched": len(info.touched),
                    f"{key}_others": len(info.others_changed),
                }  # fmt: skip
            if name == "joint-isolated" and key == "g":
                (share,) = (each for each in info.shares if each.loss == "G_loss_")
                found["isolated_share"] = percent(share.share)
        if name == "recompute":
            wasted = findings["GL108"].measured
            found["wasted"] = int(wasted["gradients"])
            found["wasted_bytes"] = percent(wasted["saved_bytes"] / wasted["of_saved_bytes"])
    return found


def errors() -> dict[str, object]:
    trace, findings = seen("naive")
    stale = findings["GL001"]
    assert stale.tensor is not None
    # The page says that the step is never reached.
    assert [each.steps for each in trace.optimizers if each.name == "optimizer_G"] == [0]
    found: dict[str, object] = {
        "naive_call": call(stale), "naive_failed": line(stale.failed),
        "naive_saved": line(stale.saved), "naive_written": line(stale.mutated),
        "naive_tensor": stale.tensor.tensor.name, "naive_before": stale.tensor.saved,
        "naive_after": stale.tensor.current, "naive_related": len(stale.related),
    }  # fmt: skip
    fused = seen("naive-fused")[1]["GL105"]
    found["fused_call"] = call(fused)
    found["fused_error"] = f"{fused.measured['relative_error']:.2f}"
    found["fused_cosine"] = f"{fused.measured['cosine']:.2f}"
    detach = seen("detach-as-printed")[1]["GL002"]
    found |= {"detach_call": call(detach), "detach_failed": line(detach.failed)}
    found["detach_freed"] = line(detach.freed)
    again = seen("recompute-as-printed")[1]["GL001"]
    found |= {"again_call": call(again), "again_failed": line(again.failed)}
    joint = seen("joint-as-printed")[1]["GL002"]
    return found | {"joint_call": call(joint), "joint_iteration": joint.iteration}


def mixtures() -> dict[str, object]:
    found: dict[str, object] = {}
    for key, name in (("joint", "joint"), ("one", "joint-one-to-one")):
        mixed = seen(name)[1]["GL101"]
        assert call(mixed) == "optimizer_G.step()"
        found |= {
            f"{key}_when": mixed.iteration,
            f"{key}_share": percent(mixed.measured["foreign_share"]),
            f"{key}_cosine": signed(mixed.measured["cosine_between"]),
        }
    return found


def made(language: str, found: dict[str, object]) -> str:
    """A page with the numbers in place. Raises KeyError for a name that no run gives."""
    words = (ROOT / "tools" / "the_post" / f"{language}.md").read_text(encoding="utf-8")
    note = "<!-- Made by tools/make_the_post.py from tools/the_post/ and the runs. -->"
    return Template(words).substitute(found).rstrip() + f"\n\n{note}\n"


def main(argv: list[str]) -> int:
    found = numbers()
    for language, page in PAGES.items():
        text = made(language, found)
        if "--check" not in argv:
            page.write_text(text, encoding="utf-8")
        elif page.read_text(encoding="utf-8") != text:
            print(f"{page.relative_to(ROOT)} is not as the runs are: run {Path(__file__).name}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
