"""A stand-in for the build of a detector, for tests of the job around it."""

from __future__ import annotations

import json


class Builder:
    """Stands in for `wakeword.build.build`.

    Attributes:
        verdict: what its detectors are said to be. threshold: at which they fire.
        crash: raised instead of an end.
        requests, heard: what it was asked for, and the clips that lay there.
    """

    def __init__(self, draft):
        self.draft, self.verdict, self.crash, self.threshold = draft, "good", None, 0.5
        self.requests, self.heard = [], []

    def __call__(self, request, *, synthesizers, phonemiser, decoder, on_progress, should_stop):
        from phonoloop.training.progress import Progress
        from phonoloop.wakeword.build import BuildResult
        from phonoloop.wakeword.export import Facts, conclude
        from phonoloop.wakeword.trigger import TriggerSettings

        self.requests.append(request)
        (folder,) = request.sources.positives
        labels = json.loads((folder.parent / "labels.json").read_text())["clips"]
        self.heard.append({name: known["label"] for name, known in labels.items()})
        assert {path.stem for path in folder.iterdir()} == set(labels)
        on_progress(Progress("train", 1, 2, 10, 0.5, 30.0, {"loss": 0.25}, epoch_done=True))
        if self.crash is not None:
            raise self.crash
        (request.out_dir / "features").mkdir(exist_ok=True)
        facts = Facts(
            model_id=f"{request.phrase}-{len(self.requests)}",
            phrase=request.phrase,
            language=request.language,
            trigger=TriggerSettings(self.threshold),
            verdict=self.verdict,
            evaluation=measured() | {"verdict": {"outcome": self.verdict, "reasons": ["because"]}},
            licences={"clips": "CC0-1.0"},
        )
        conclude(self.draft, request.out_dir / "export", facts=facts)
        report = facts.to_dict() | {"warnings": ["too few"]}
        return BuildResult(facts.model_id, request.out_dir / "export", report)


def measured():
    from phonoloop.testing.wake_levels import LevelScorer, level_clip
    from phonoloop.wakeword.clips import Label
    from phonoloop.wakeword.evaluate import evaluate
    from phonoloop.wakeword.report import to_summary
    from phonoloop.wakeword.trigger import TriggerSettings

    said = [level_clip(0.9, seed=seed) for seed in range(4)]
    other = [level_clip(0.1, duration_s=30.0, label=Label.NEGATIVE)]
    return to_summary(evaluate(LevelScorer(), TriggerSettings(0.7), said, other))
