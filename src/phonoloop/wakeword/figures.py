"""Pictures of a judgement: ROC, DET and the confusion matrix. Needs matplotlib, of the `train` extra."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phonoloop.core.errors import UnavailableError
from phonoloop.registry.statistics import normal_quantile
from phonoloop.wakeword.clip_metrics import ClipMetrics
from phonoloop.wakeword.evaluate import WakeEvaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROC, DET, CONFUSION = "roc.png", "det.png", "confusion_matrix.png"
_DOTS_PER_INCH = 120
_LINE, _POINT = "#1f4e79", "#c0392b"
#: ends of the axes of a DET picture, as shares
_DET_LIMITS = (0.001, 0.6)
_DET_TICKS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)


def draw(evaluation: WakeEvaluation, folder: Path) -> list[Path]:
    """Writes the three pictures into a folder, which is made; gives their paths.

    Raises:
        UnavailableError: `wakeword.no_matplotlib`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {ROC: _roc(evaluation), DET: _det(evaluation), CONFUSION: _confusion(evaluation.clips)}
    for name, figure in pictures.items():
        figure.savefig(folder / name, dpi=_DOTS_PER_INCH)
    return [folder / name for name in pictures]


def _figure(title: str, under: str) -> tuple[Figure, Axes]:
    """Without pyplot: nothing global, and no screen is looked for."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnavailableError(
            "there is no matplotlib to draw with",
            code="wakeword.no_matplotlib",
            hint="pip install 'phonoloop[train]', or leave the pictures out",
        ) from error
    figure = Figure(figsize=(6.4, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=13, fontweight="bold")
    axes = figure.add_subplot()
    axes.set_title(under, fontsize=9, color="#555555")
    return figure, axes


def error_shares(positives: np.ndarray, negatives: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At every score that occurs, lowest first, and above them all: (thresholds, share of negatives at or
    above, share of positives below), each (n,)."""
    thresholds = np.append(np.unique(np.concatenate([positives, negatives])), np.inf)
    accepted = 1.0 - np.searchsorted(np.sort(negatives), thresholds, side="left") / max(1, len(negatives))
    missed = np.searchsorted(np.sort(positives), thresholds, side="left") / max(1, len(positives))
    return thresholds, accepted, missed


def _roc(evaluation: WakeEvaluation) -> Figure:
    """What is found against what fires, by clip and by hour."""
    figure, axes = _figure("ROC: what is found, what fires without the phrase", _what(evaluation))
    rows = sorted(evaluation.curve, key=lambda row: (row.false_accepts_per_hour, -row.misses))
    rates = [row.false_accepts_per_hour for row in rows]
    found = [100 * (1 - row.misses) for row in rows]
    axes.plot(rates, found, color=_LINE, marker=".", label="through the detector, other thresholds")
    _mark_chosen(axes, evaluation)
    target = evaluation.demands.max_per_hour
    axes.axvline(target, color="#888888", linestyle="--", linewidth=1, label=f"asked for: {target:g} an hour")
    axes.set_xscale("symlog", linthresh=max(target, 0.1), linscale=0.6)
    axes.set_xlim(left=0, right=max(60.0, 2 * max(rates, default=0.0)))
    shipped = 100 * (1 - evaluation.misses.interval.high)
    axes.set_ylim(max(0.0, min(80.0, shipped - 10)), 100.5)
    axes.set_xlabel("false accepts an hour")
    axes.set_ylabel("phrases found, %")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    _finish(axes)
    return figure


def _mark_chosen(axes: Axes, evaluation: WakeEvaluation) -> None:
    """The threshold that ships, with the intervals of both figures."""
    rate, share = evaluation.accepts.per_hour, evaluation.misses.share
    if rate is None or share is None:
        return
    low, high = evaluation.accepts.interval
    least, most = evaluation.misses.interval
    found = 100 * (1 - share)
    axes.errorbar(
        [rate],
        [found],
        xerr=[[rate - low], [high - rate]],
        yerr=[[max(0.0, found - 100 * (1 - most))], [max(0.0, 100 * (1 - least) - found)]],
        color=_POINT,
        marker="o",
        capsize=3,
        label=f"as it ships, {100 * evaluation.demands.confidence:g} % intervals",
        clip_on=False,
        zorder=3,
    )


def _det(evaluation: WakeEvaluation) -> Figure:
    """Both errors by clip on normal deviate axes (Martin et al. 1997, "The DET curve in assessment of
    detection task performance"): where scores are normally distributed the curve is a straight line."""
    figure, axes = _figure("DET: misses against false accepts, by clip", _what(evaluation))
    thresholds, accepted, missed = error_shares(evaluation.positive_scores, evaluation.negative_scores)
    axes.step(_deviates(accepted), _deviates(missed), where="post", color=_LINE, label="all thresholds")
    at = int(np.searchsorted(thresholds, evaluation.trigger.threshold))
    axes.plot(
        _deviates(accepted[at : at + 1]),
        _deviates(missed[at : at + 1]),
        "o",
        color=_POINT,
        label="as it ships",
    )
    ticks = _deviates(np.array(_DET_TICKS))
    names = [f"{100 * tick:g}" for tick in _DET_TICKS]
    names[0] = f"≤ {names[0]}"
    axes.set_xticks(ticks, names)
    axes.set_yticks(ticks, names)
    limits = _deviates(np.array(_DET_LIMITS))
    axes.set_xlim(limits[0] - 0.1, limits[1])
    axes.set_ylim(limits[0] - 0.1, limits[1])
    axes.set_xlabel("clips without the phrase that fire, %")
    axes.set_ylabel("phrases missed, %")
    _finish(axes)
    return figure


def _deviates(shares: np.ndarray) -> np.ndarray:
    """Normal quantiles; shares beyond the picture's ends are drawn on its edge."""
    return np.array([normal_quantile(float(share)) for share in np.clip(shares, *_DET_LIMITS)])


def _confusion(clips: ClipMetrics) -> Figure:
    figure, axes = _figure("Decisions about clips", "each row adds up to 100 %")
    counts = np.array([[clips.hits, clips.missed], [clips.false_accepts, clips.rejected]])
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.25)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.7 else "#222222"
        text = f"{count:,}\n{100 * shares[row, column]:.1f} %"
        axes.text(column, row, text, ha="center", va="center", fontsize=15, color=colour)
    axes.set_xticks([0, 1], ["fired", "did not fire"])
    axes.set_yticks([0, 1], ["the phrase", "anything else"], rotation=90, va="center")
    axes.set_xlabel("the detector")
    axes.set_ylabel("what was said")
    axes.tick_params(length=0)
    return figure


def _what(evaluation: WakeEvaluation) -> str:
    hours = evaluation.accepts.hours
    return f"{evaluation.misses.clips} clips of the phrase, {hours:.2g} h without it"


def _finish(axes: Axes) -> None:
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.legend(fontsize=9)
