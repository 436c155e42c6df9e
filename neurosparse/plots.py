"""Results drawn on axes: a result and an `ax` enter, the `ax` leaves. Computes, shows and writes nothing."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

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
