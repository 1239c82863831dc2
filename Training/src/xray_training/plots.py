"""The plots of an evaluation's report, from its summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

FINAL_COLOUR, BEFORE_COLOUR = "#1d4ed8", "#9ca3af"
VERDICT_COLOURS = {"reliable": "#15803d", "check": "#d97706", "rejected": "#b91c1c"}

VIEW_PARAMETERS = {
    "primary_deg": "LAO + / RAO - (deg)",
    "secondary_deg": "CRAN + / CAUD - (deg)",
    "roll_deg": "Roll (deg)",
    "source_to_bone_mm": "Source to bone (mm)",
}
ACQUISITION_PARAMETERS = {
    "quanta": "Quanta in a pixel",
    "scatter_to_primary": "Scatter-to-primary ratio",
    "kilovolts": "Tube voltage (kV)",
}


def distributions(summary: dict[str, Any]) -> Figure:
    """Empirical distribution functions of the errors."""
    from matplotlib.figure import Figure

    figure = Figure((11, 3), layout="constrained")
    measures = {"mtre_mm": "mTRE (mm)", "rotation_deg": "Rotation (deg)", "in_plane_mm": "In plane (mm)", "depth_mm": "Depth (mm)"}
    for axes, (measure, label) in zip(figure.subplots(1, 4, sharey=True), measures.items(), strict=True):
        if summary["refined"]:
            before = [case["before_refinement"] for case in summary["cases"]]
            _distribution(axes, _errors(before, measure), BEFORE_COLOUR, "before refinement")
        _distribution(axes, _errors(summary["cases"], measure), FINAL_COLOUR, "result")
        axes.set(xlabel=label, xscale="log", ylim=(0, 1.02))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("Share of all cases")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2, fontsize=8, frameon=False)
    return figure


def errors_by_view(summary: dict[str, Any]) -> Figure:
    """mTRE against the parameters of the view."""
    from matplotlib.figure import Figure

    figure = Figure((11, 3), layout="constrained")
    cases = _with_pose(summary)
    for axes, (parameter, label) in zip(figure.subplots(1, 4, sharey=True), VIEW_PARAMETERS.items(), strict=True):
        axes.plot([case[parameter] for case in cases], [case["mtre_mm"] for case in cases], ".", color=FINAL_COLOUR, alpha=_alpha(cases))
        axes.set_xlabel(label)
        _logarithmic_errors(axes)
    figure.axes[0].set_ylabel("mTRE (mm)")
    return figure


def errors_by_acquisition(summary: dict[str, Any]) -> Figure:
    """mTRE against how the first X-ray of each case was taken and shown."""
    from matplotlib.figure import Figure

    figure = Figure((11, 3), layout="constrained")
    cases = _with_pose(summary)
    taken = [case["notes"]["acquisitions"][0] for case in cases]
    errors = np.array([case["mtre_mm"] for case in cases])
    *panels, last = figure.subplots(1, 4, sharey=True)
    for axes, (parameter, label) in zip(panels, ACQUISITION_PARAMETERS.items(), strict=True):
        axes.plot([settings[parameter] for settings in taken], errors, ".", color=FINAL_COLOUR, alpha=_alpha(cases))
        axes.set_xlabel(label)
        _logarithmic_errors(axes)
    panels[0].set_xscale("log")
    _label_finely(panels[0].xaxis)
    kinds = sorted({settings["display"] for settings in taken}) + sorted({settings["collimation"] for settings in taken})
    groups = [errors[[kind in (settings["display"], settings["collimation"]) for settings in taken]] for kind in kinds]
    last.boxplot(groups, whis=(5, 95), showfliers=False, medianprops={"color": FINAL_COLOUR})
    names = ["open field" if kind == "none" else kind for kind in kinds]
    last.set_xticks(range(1, len(kinds) + 1), names, rotation=30, ha="right", fontsize=8)
    last.set_xlabel("Display and collimation")
    _logarithmic_errors(last)
    figure.axes[0].set_ylabel("mTRE (mm)")
    return figure


def trust(summary: dict[str, Any]) -> Figure:
    """Risk-coverage curve, and every pose's error against the score and verdict that it got."""
    from matplotlib.figure import Figure

    figure = Figure((11, 3.4), layout="constrained")
    kept, single = figure.subplots(1, 2)
    curve = summary["trust"]["risk_coverage"]
    kept.plot(curve["coverage"], curve["p95_mtre_mm"], color=BEFORE_COLOUR, label="95 % of the cases kept")
    kept.plot(curve["coverage"], curve["mean_mtre_mm"], color=FINAL_COLOUR, label="mean of the cases kept")
    kept.set(xlabel="Share of all cases kept, most trusted first", ylabel="mTRE (mm)", xlim=(0, 1.02))
    kept.legend(fontsize=8, frameon=False)
    cases = _with_pose(summary)
    for verdict, colour in VERDICT_COLOURS.items():
        told = [case for case in cases if case["verdict"] == verdict]
        scores, errors = [_score(case, summary["trust"]["score"]) for case in told], [case["mtre_mm"] for case in told]
        single.plot(scores, errors, ".", color=colour, alpha=_alpha(cases), label=f"{verdict} ({len(told)})")
    name = summary["trust"]["score"]
    single.set(xlabel=f"{name.capitalize()} (mm)" if "error" in name else name.capitalize(), ylabel="mTRE (mm)")
    single.legend(fontsize=8, frameon=False)
    for axes in (kept, single):
        _logarithmic_errors(axes)
    _label_finely(kept.yaxis)
    return figure


def _score(case: dict[str, Any], name: str) -> float:
    scores = {
        "expected error": lambda: case["expected_error_mm"],
        "1 - similarity": lambda: 1 - case["similarity"],
        "1 / certainty": lambda: 1 / case["certainty"],
    }
    return float(scores[name]())


def _with_pose(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [case for case in summary["cases"] if case["mtre_mm"] is not None]


def _alpha(cases: Sequence[Any]) -> float:
    """Dots fade where there are many, so that their density shows."""
    return 0.6 if len(cases) < 500 else 0.2


def _errors(cases: Sequence[dict[str, Any]], measure: str) -> list[float]:
    """One measure of all cases; infinite where there is none."""
    return [np.inf if case[measure] is None else case[measure] for case in cases]


def _distribution(axes: Axes, errors: list[float], colour: str, label: str) -> None:
    """Steps up to the share of the cases that have a finite error."""
    finite = np.sort([error for error in errors if np.isfinite(error)])
    axes.step(finite, np.arange(1, len(finite) + 1) / len(errors), where="post", color=colour, label=label)


def _logarithmic_errors(axes: Axes) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.grid(alpha=0.3)


def _label_finely(axis: Axis) -> None:
    """Labels at 1, 2 and 5 of every decade of a logarithmic axis, for axes of one or two decades."""
    from matplotlib.ticker import LogLocator

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")
