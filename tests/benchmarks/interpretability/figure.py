"""Medians with their intervals and nulls, a panel a task and judge: rows enter, a PNG leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from neurosparse.plots import BRAIN, CHANCE

mpl.use("Agg")


def draw(rows: list[dict[str, Any]], score: str, path: str | Path) -> Path:
    """Panels side by side, one a task and judge."""
    import matplotlib.pyplot as plt

    rows = [row for row in rows if "representation" in row and "gain" not in row["task"]]
    shown = [row for row in rows if row["score"] == score]
    panels = list(dict.fromkeys((row["task"], row.get("judge", "")) for row in shown))
    figure, axes = plt.subplots(1, len(panels), figsize=(6.2 * len(panels), 3.8), layout="constrained", squeeze=False)
    for ax, (task, judge) in zip(axes[0], panels, strict=True):
        some = [row for row in shown if (row["task"], row.get("judge", "")) == (task, judge)][::-1]
        place = np.arange(len(some))
        value = np.array([row["median"] for row in some])
        low, high = (np.array([row[end] for row in some]) for end in ("low", "high"))
        ax.errorbar(value, place, xerr=np.maximum([value - low, high - value], 0), fmt="o", color=BRAIN, capsize=2)
        ax.plot([row["null"] for row in some], place, ls="", marker="|", ms=12, color=CHANCE, label="null")
        ax.set_yticks(place, [row["representation"] for row in some])
        ax.set_xlabel(f"{score}, median over profiles")
        ax.set_title(f"{task}{', judged by ' + judge if judge else ''}", fontsize="medium")
        ax.spines[["top", "right"]].set_visible(False)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower right", frameon=False, fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return Path(path)
