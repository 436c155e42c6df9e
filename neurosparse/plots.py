"""Results drawn on axes: a result and an `ax` enter, the `ax` leaves. Computes, shows and writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BRAIN, NETWORK, CHANCE = "#c2410c", "#1d4ed8", "#64748b"


def plot_cross_scores(result: xr.Dataset, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
    """Draw how well each representation predicts the reference, with its interval, its null and the ceiling.

    Parameters
    ----------
    result : xarray.Dataset
        What `neurosparse.compare` returns.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure's axes by default.
    **kwargs
        Passed to ``ax.errorbar``.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = ax or plt.subplots(figsize=(6, 3.5))[1]
    reference = result.attrs["reference"]
    models = [name for name in result["representation"].values if name != reference]
    table = result.sel(representation=models)
    place = np.arange(len(models))
    value = table["r"].values
    spread = np.stack([value - table["r_low"].values, table["r_high"].values - value])
    ax.errorbar(place, value, yerr=spread, **{"fmt": "o", "color": NETWORK, "label": "held-out r", **kwargs})
    null = table["r_null"].values
    ax.plot(place, null, ls="", marker="_", color=CHANCE, ms=16, mew=2.5, label="null (stimuli permuted)")
    _draw_controls(ax, result)
    ceiling = float(result["ceiling"].sel(representation=reference))
    if np.isfinite(ceiling):
        ax.axhline(ceiling, color=BRAIN, lw=1.2, ls="--", label=f"ceiling of {reference}")
    _name_ticks(ax, models)
    ax.set_ylabel(f"r with {reference}\n(median over units)")
    ax.set_ylim(min(0.0, float(np.nanmin(table["r_null"]))) - 0.05, 1.02)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
    return ax


def plot_stability(result: xr.Dataset, *, ax: Axes | None = None, **kwargs: Any) -> Axes:
    """Draw the stability of each representation's dictionary beside that of its Gaussian surrogates.

    Parameters and return value are those of `plot_cross_scores`; `kwargs` go to the ``ax.plot`` of the stabilities.
    """
    ax = ax or plt.subplots(figsize=(6, 3.5))[1]
    names = list(result["representation"].values)
    place = np.arange(len(names))
    low, high = result["stability_surrogate_low"].values, result["stability_surrogate_high"].values
    ax.vlines(place, low, high, color=CHANCE, lw=7, alpha=0.45, label="Gaussian of equal covariance")
    colours = [BRAIN if name == result.attrs["reference"] else NETWORK for name in names]
    for x, value, colour in zip(place, result["stability"].values, colours, strict=True):
        ax.plot(x, value, **{"marker": "o", "color": colour, **kwargs})
    _name_ticks(ax, names)
    ax.set_ylabel("stability of the dictionary\n(matched |cos|)")
    ax.set_ylim(0, 1.02)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, fontsize="small", loc="lower left")
    return ax


def plot_repeats(
    first: xr.DataArray, second: xr.DataArray, unit: Any, *, ax: Axes | None = None, **kwargs: Any
) -> Axes:
    """Draw one unit's responses on one half of the repeats against those on the other, a point a stimulus.

    A unit that carries a signal lies along the diagonal; a unit of noise makes a round cloud.

    Parameters
    ----------
    first, second : xarray.DataArray
        Populations with dims (stimulus, unit), as `population.split_halves` gives them.
    unit : label
        The unit to draw.
    ax, **kwargs
        As for `plot_cross_scores`; `kwargs` go to ``ax.plot``.
    """
    ax = ax or plt.subplots(figsize=(3.5, 3.5))[1]
    x, y = first.sel(unit=unit), second.sel(unit=unit)
    ax.plot(x.values, y.values, **{"ls": "", "marker": ".", "ms": 3, "alpha": 0.5, "color": BRAIN, **kwargs})
    quantity, measure = first.attrs.get("quantity") or "response", first.attrs.get("units", "1")
    label = quantity if measure == "1" else f"{quantity} ({measure})"
    ax.set_xlabel(f"{label}, half of the repeats")
    ax.set_ylabel("the other half")
    ax.set_title(f"unit {unit}")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _draw_controls(ax: Axes, result: xr.Dataset) -> None:
    """A line for each control family; draws that only a number tells apart look alike and are named once."""
    kinds: dict[str, list[float]] = {}
    for name in result["family"].values:
        if name != result.attrs["model_family"]:
            kind = str(name).rstrip("0123456789").rstrip() or str(name)
            kinds.setdefault(kind, []).append(float(result["family_r"].sel(family=name)))
    for (kind, values), style in zip(kinds.items(), cycle(["-.", ":", (0, (1, 4))])):
        label = kind if len(values) == 1 else f"{kind} ({len(values)} draws)"
        for value in values:
            ax.axhline(value, color=CHANCE, lw=1, ls=style, label=label)
            label = "_"  # named once


def _name_ticks(ax: Axes, names: list[Any]) -> None:
    """Names below the axis, slanted where they would run into each other."""
    slanted = sum(len(str(name)) for name in names) > 36
    ax.set_xticks(np.arange(len(names)), names, rotation=30 * slanted, ha="right" if slanted else "center")


def card_feature(description: Mapping[str, Any]) -> Figure:
    """Draw one feature: its stimuli, its code, its tuning, its weights, its repeats and its scores.

    Parameters
    ----------
    description : mapping
        What `neurosparse.interpretability.describe_feature` returns; panels of what is None are left out.

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = [draw for name, draw in _PANELS.items() if description.get(name) is not None]
    figure = plt.figure(figsize=(11, 2.2 + 2.6 * (1 + (len(panels) - 1) // 3)), layout="constrained")
    n_rows = 1 + (len(panels) - 1) // 3
    halves: Any = figure.subfigures(2, 1, height_ratios=[1.7, 2.6 * n_rows])
    _draw_ends(halves[0], description)
    grid = halves[1].subplots(n_rows, 3, squeeze=False).ravel()
    for ax, draw in zip(grid, panels, strict=False):
        draw(ax, description)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in grid[len(panels) :]:
        ax.set_axis_off()
    share = 100 * description["active_share"]
    figure.suptitle(
        f"{description['kind']} {description['feature']}: active on {share:.0f} % of {description['n_samples']} samples"
    )
    return figure


def _draw_ends(figure: Any, description: Mapping[str, Any]) -> None:
    """The strongest stimuli on the left, the weakest on the right: images, or their labels."""
    both = [(name, k) for name in ("top", "bottom") for k in range(len(description[name]["labels"]))]
    for ax, (name, k) in zip(figure.subplots(1, len(both), squeeze=False)[0], both, strict=True):
        end = description[name]
        if end["images"] is None:
            ax.text(0.5, 0.5, _short(end["labels"][k]), ha="center", va="center", fontsize="small")
        else:
            image = end["images"][k]
            image = image[..., 0] if image.ndim == 3 and image.shape[-1] == 1 else image
            ax.imshow(image, cmap="gray" if image.ndim == 2 else None)
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_xlabel(f"{end['responses'][k]:.2g}", fontsize="small")
        for spine in ax.spines.values():
            spine.set_color(BRAIN if name == "top" else CHANCE)
        if k == 0:
            ax.set_title("strongest" if name == "top" else "weakest", loc="left", fontsize="small")


def _short(label: Any) -> str:
    return f"{label:.4g}" if isinstance(label, float) else str(label)[:12]


def _draw_code(ax: Axes, description: Mapping[str, Any]) -> None:
    ax.plot(description["over"], description["responses"], color=BRAIN, lw=0.8)
    ax.set_xlabel(description["over_what"])
    ax.set_ylabel("code")


def _draw_tuning(ax: Axes, description: Mapping[str, Any]) -> None:
    tuning = description["tuning"]
    centres = tuning["centres"]
    if centres.shape[1] == 1:
        ax.plot(centres[:, 0], tuning["map"], color=BRAIN)
        ax.set_ylim(bottom=min(0.0, float(np.nanmin(tuning["map"]))))
        ax.set_xlabel("covariate" if tuning["period"] is None else f"covariate (period {tuning['period']:.3g})")
        ax.set_ylabel("mean code")
    else:
        side = int(np.sqrt(len(centres)))
        grid = tuning["map"].reshape(side, side).T
        edges = centres.min(axis=0), centres.max(axis=0)
        extent = (edges[0][0], edges[1][0], edges[0][1], edges[1][1])
        ax.imshow(grid, origin="lower", extent=extent, aspect="auto", cmap="viridis")
    ax.set_title("tuning", fontsize="small")


def _draw_weights(ax: Axes, description: Mapping[str, Any]) -> None:
    """Weights by area; over rows and columns of a layer where units have them."""
    weights = description["weights"]
    ax.set_title("weights over units", fontsize="small")
    if {"row", "column"} <= set(weights):
        rows, columns = np.unique(weights["row"]), np.unique(weights["column"])
        grid = np.zeros((len(rows), len(columns)))
        np.add.at(
            grid,
            (np.searchsorted(rows, weights["row"]), np.searchsorted(columns, weights["column"])),
            np.abs(weights["weight"]),
        )
        ax.imshow(grid, cmap="viridis")
        ax.set_xlabel("column (|weight|, summed over channels)")
        ax.set_ylabel("row")
        return
    areas = weights.get("area", np.full(len(weights["weight"]), ""))
    order = np.lexsort((-weights["weight"], areas))
    names, first, counts = np.unique(areas[order], return_index=True, return_counts=True)
    colours = plt.get_cmap("tab10")(np.searchsorted(names, areas[order]) % 10)
    ax.bar(np.arange(len(order)), weights["weight"][order], color=colours)
    ax.axhline(0, color="black", lw=0.6)
    middles = first + (counts - 1) / 2
    ax.set_xticks(middles if names[0] else [], names if names[0] else [])
    ax.set_xlabel("units, by area" if names[0] else "units, from the largest")


def _draw_repeats(ax: Axes, description: Mapping[str, Any]) -> None:
    halves = description["halves"]
    ax.plot(halves[:, 0], halves[:, 1], ls="", marker=".", ms=3, alpha=0.5, color=BRAIN)
    ax.set_xlabel("code, odd repeats")
    ax.set_ylabel("even repeats")
    ax.set_title(f"reliability {description['reliability']:.2f}", fontsize="small")


def _draw_scores(ax: Axes, description: Mapping[str, Any]) -> None:
    lines = []
    for name, score in description["scores"].items():
        null = f", null {score['null']:.2f}" if np.isfinite(score.get("null", np.nan)) else ""
        p = f", p {score['p']:.3f}" if np.isfinite(score.get("p", np.nan)) else ""
        lines.append(f"{name.replace('_', ' ')} {score['value']:.2f}{null}{p}")
    ax.text(0, 1, "\n".join(lines), va="top", fontsize="small", transform=ax.transAxes)
    ax.set_title("scores", fontsize="small")
    ax.set_axis_off()


_PANELS = {
    "responses": _draw_code,
    "tuning": _draw_tuning,
    "weights": _draw_weights,
    "halves": _draw_repeats,
    "scores": _draw_scores,
}
