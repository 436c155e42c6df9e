"""What the tapped layers of one module answer, batch by batch: the hooks, and the arrays they fill.

Layer outputs enter through the hooks, one population a tap leaves; only ``taps`` uses this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr

from neurosparse.errors import InputError
from neurosparse.networks.images import Stimuli, layer_population


@dataclass(frozen=True)
class Tap:
    """A layer asked for: the name it was asked by, its path, and which of its calls (None: it has but one)."""

    name: str
    path: str
    call: int | None


class _Enough(BaseException):
    """Every layer has answered. No Exception, so that a module's own ``except Exception`` lets it through."""


class Recorder:
    """Collects what the taps answer, batch by batch, into arrays made when the first batch shows their size."""

    def __init__(self, taps: list[Tap], grid: int | None, n_stimuli: int) -> None:
        self.taps = taps
        self.grid = grid
        self.n_stimuli = n_stimuli
        self.values: dict[str, np.ndarray] = {}
        self.cells: dict[str, dict[str, int]] = {}  # a layer's dims after the first, and their sizes
        self.rows = slice(0, 0)
        self.calls: Counter[str] = Counter()
        self.answered: set[str] = set()

    @contextmanager
    def attached(self, module: torch.nn.Module) -> Iterator[None]:
        """Hooks on the tapped layers, gone when the block ends, however it ends."""
        parts = dict(module.named_modules(remove_duplicate=False))
        by_path: dict[str, list[Tap]] = {}
        for tap in self.taps:
            by_path.setdefault(tap.path, []).append(tap)
        handles = [parts[path].register_forward_hook(self._hook(path, taps)) for path, taps in by_path.items()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def run(self, forward: Callable[[torch.Tensor], Any], x: torch.Tensor, rows: slice) -> None:
        """One forward pass, for the stimuli `rows`."""
        self.rows = rows
        self.calls.clear()
        self.answered.clear()
        try:
            forward(x)
        except _Enough:
            return
        except Exception as error:
            error.add_note(f"in the forward pass of stimuli {rows.start} to {rows.stop - 1}, input {tuple(x.shape)}")
            raise
        self._check_calls()

    def _hook(self, path: str, taps: list[Tap]) -> Callable[..., None]:
        def keep(module: torch.nn.Module, inputs: Any, output: Any) -> None:
            call = self.calls[path]
            self.calls[path] += 1
            for tap in taps:
                if (tap.call or 0) == call:
                    self._keep(tap, output)
            if self.rows.start > 0 and len(self.answered) == len(self.taps):
                raise _Enough

        return keep

    def _keep(self, tap: Tap, output: Any) -> None:
        n_batch = self.rows.stop - self.rows.start
        _check_output(tap.name, output, n_batch)
        # Copied out at once: a later in-place operation would change the tensor seen here.
        units, axes = _pooled(tap.name, output.to(torch.float32), self.grid)
        cells = dict(zip(axes, units.shape[1:], strict=True))
        if tap.name not in self.values:
            self.cells[tap.name] = cells
            self.values[tap.name] = np.empty((self.n_stimuli, units[0].numel()), dtype=np.float32)
        if self.cells[tap.name] != cells:
            raise InputError(
                f"layer {tap.name!r} gives {cells} from stimulus number {self.rows.start} on, and gave "
                f"{self.cells[tap.name]} before. Pool it with pool='mean', or show stimuli of one size."
            )
        answers = units.flatten(1).cpu().numpy()
        _check_finite(tap.name, answers, self.rows.start)
        self.values[tap.name][self.rows] = answers
        self.answered.add(tap.name)

    def _check_calls(self) -> None:
        for tap in self.taps:
            n_calls = self.calls[tap.path]
            if n_calls > 1 and tap.call is None:
                choices = ", ".join(f"'{tap.path}#{i}'" for i in range(n_calls))
                raise InputError(f"layer {tap.name!r} runs {n_calls} times in one forward pass. Choose: {choices}.")
            if tap.name not in self.answered:
                raise InputError(
                    f"layer {tap.name!r} did not answer: {tap.path!r} ran {n_calls} times in the forward pass. "
                    "Containers such as ModuleList never run: tap a layer inside, or the one around."
                )

    def labelled(self, tap: Tap, stimuli: Stimuli, facts: dict[str, Any]) -> xr.DataArray:
        """The population of one tap."""
        return layer_population(
            self.values.pop(tap.name),
            stimuli,
            layer=tap.name,
            cells=self.cells[tap.name],
            quantity="activation",
            source=facts["network"],
            provenance=facts,
        )


def _check_output(layer: str, output: Any, n_batch: int) -> None:
    if not isinstance(output, torch.Tensor) or output.is_complex():
        got = f"tensor of {output.dtype}" if isinstance(output, torch.Tensor) else type(output).__name__
        raise InputError(f"layer {layer!r} gives a {got}, and not one real tensor. Tap a layer inside or after it.")
    if not 2 <= output.ndim <= 4 or output.shape[0] != n_batch:
        raise InputError(
            f"layer {layer!r} gives shape {tuple(output.shape)} for {n_batch} stimuli; expected (stimulus, channel), "
            "(stimulus, token, channel) or (stimulus, channel, row, column). Tap another layer."
        )


def _check_finite(layer: str, answers: np.ndarray, start: int) -> None:
    bad = ~np.isfinite(answers)
    if bad.any():
        # NaN would read as unobserved further on, which no activation is.
        raise InputError(
            f"layer {layer!r} gives {int(bad.sum())} values that are not finite, first for stimulus number "
            f"{start + int(bad.any(1).argmax())}. Check the stimuli and the scale that preprocess gives."
        )


def _pooled(layer: str, output: torch.Tensor, grid: int | None) -> tuple[torch.Tensor, tuple[str, ...]]:
    """`output` (batch, ...) averaged to so many cells a side, and what its dims after the first are."""
    if output.ndim == 2:
        return output, ("channel",)
    if output.ndim == 3:
        return _pooled_tokens(layer, output, grid)
    if grid is None:
        return output, ("channel", "row", "column")
    if grid == 1:
        return output.mean((2, 3)), ("channel",)
    finest = min(output.shape[2:])
    if grid > finest:
        raise InputError(
            f"pool={grid} is finer than layer {layer!r}, whose maps are {tuple(output.shape[2:])}. "
            f"Use pool={finest} or less, or pool=None for every position."
        )
    return F.adaptive_avg_pool2d(output, grid), ("channel", "row", "column")


def _pooled_tokens(layer: str, output: torch.Tensor, grid: int | None) -> tuple[torch.Tensor, tuple[str, ...]]:
    if grid is None:
        return output, ("token", "channel")
    if grid == 1:
        return output.mean(1), ("channel",)
    raise InputError(
        f"pool={grid} needs maps, and layer {layer!r} gives {tuple(output.shape)}, taken as (stimulus, token, "
        "channel). Use pool='mean' or pool=None."
    )
