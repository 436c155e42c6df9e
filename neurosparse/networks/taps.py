"""Taps: what every layer of a torch module answers to every stimulus, as one population a layer.

A module and stimuli enter, populations ``(stimulus, unit)`` leave; the module stays exactly as it was found.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from numbers import Integral
from typing import Any

import torch
import xarray as xr
from tqdm import tqdm

from neurosparse.backend.devices import Device, batch_rows, resolve_device
from neurosparse.errors import InputError, MissingError
from neurosparse.networks.images import as_stimuli, channels_first
from neurosparse.networks.recorder import Recorder, Tap

Pool = int | str | None

# Bytes of input a forward pass, where the caller does not say. Four colour images of 224 x 224 keep the maps of a small
# network in a CPU's caches: 640 of them through EfficientNet-lite0 took 10 s in fours, 32-56 s in batches of 32.
CPU_INPUT, DEVICE_INPUT = 2_500_000, 128_000_000


def activations(
    module: torch.nn.Module,
    stimuli: Any,
    layers: Sequence[str],
    *,
    preprocess: Callable[[Any], torch.Tensor] | None = None,
    batch_size: int | None = None,
    device: Device = "auto",
    pool: Pool = None,
    progress: bool = True,
) -> dict[str, xr.DataArray]:
    """Show `stimuli` to a network and read its `layers`.

    Parameters
    ----------
    module : torch.nn.Module
        Any module that takes one tensor. It runs in evaluation mode without gradients and is left as it was found,
        also where it fails: training flags, hooks, device, weights, buffers, gradients, and torch's random state.
    stimuli : DataArray, numpy array or torch tensor
        DataArray (stimulus, row, column, channel), lazy ones too, whose `stimulus` ids are kept; numpy array
        (stimulus, row, column, channel); torch tensor (stimulus, channel, row, column), or whatever the module takes.
        Vectors are (stimulus, x). Ids of arrays and tensors are 0, 1, 2, ...
    layers : sequence of str
        Paths as in ``module.named_modules()``. A layer that runs several times in one forward pass is tapped call by
        call: ``"relu#0"``, ``"relu#1"``.
    preprocess : callable, optional
        From a batch as it comes, ndarray (batch, row, column, channel) or tensor, to the module's input, tensor
        (batch, channel, row, column). By default images are only transposed to that order.
    batch_size : int, optional
        Stimuli a forward pass. By default the first goes alone and shows its size; then so many that the input takes
        2.5 MB on a CPU, where maps that stay in its caches are 3 to 5 times faster, and 128 MB elsewhere.
    device : {"auto", "cpu", "cuda", ...}
        Where the forward pass runs.
    pool : None, "mean" or int
        Of maps (batch, channel, row, column): ``None`` keeps every position as a unit, an int g averages over a
        g x g grid, ``"mean"`` over all positions. Of tokens, 3-D outputs taken as (batch, token, channel): ``None`` or
        ``"mean"`` over tokens. Vectors (batch, channel) are kept as they are.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    dict of str to DataArray (stimulus, unit)
        float32, in the order of `layers` and of `stimuli`. Coords of `unit`: `layer`, `channel`, `row`, `column` (-1
        where there is none), and `token` for tokens.

    Raises
    ------
    MissingError
        If a layer is not in the module; near names are listed.
    InputError
        If a layer never runs, runs several times, or gives no single tensor (batch, ...) of 2 to 4 dims; if `pool`
        does not fit an output; if an answer is not finite; if stimuli are 8-bit and `preprocess` is missing.

    Notes
    -----
    The first batch runs to the end of the forward pass and shows how often each layer runs; later batches stop once
    the last layer asked for has answered. Code that a module runs after that point is not run for them.

    Memory: the result, ``4 bytes x n_stimuli x n_units`` a layer, and one forward pass of `batch_size` stimuli.
    Results are the same for every `batch_size` up to float32 rounding. Inputs are cast to the module's dtype.

    Recurrent torch layers keep their own list of weights: bring a module that has some to `device` first.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU())
    >>> found = activations(net, torch.zeros(5, 3, 8, 8), ["1"], pool="mean", progress=False)
    >>> found["1"].dims, found["1"].shape
    (('stimulus', 'unit'), (5, 4))
    """
    taps = _find_taps(module, layers)
    if batch_size is not None and batch_size < 1:
        raise InputError(f"batch_size needs to be at least 1; got {batch_size}.")
    shown = as_stimuli(stimuli)
    target = resolve_device(device)
    recorder = Recorder(taps, _grid(pool), len(shown))
    bar = tqdm(total=len(shown), desc="activations", unit="stimulus", disable=not progress, leave=False)
    with bar, _borrowed(module, target) as forward, recorder.attached(module):
        size, rows = batch_size or 1, slice(0, 0)
        while rows.stop < len(shown):
            rows = slice(rows.stop, min(rows.stop + size, len(shown)))
            x = _as_input(shown.read(rows), preprocess, module)
            recorder.run(forward, x, rows)
            bar.update(rows.stop - rows.start)
            size = batch_size or batch_rows(x[0].nbytes, limit=CPU_INPUT if target.type == "cpu" else DEVICE_INPUT)
    facts = {
        "network": type(module).__name__,
        "pool": str(pool),
        "preprocess": getattr(preprocess, "__qualname__", repr(preprocess)),
        "device": str(target),
        "torch": torch.__version__,
        "stimuli": shown.source,
    }
    return {tap.name: recorder.labelled(tap, shown, facts) for tap in taps}


def _find_taps(module: torch.nn.Module, layers: Sequence[str]) -> list[Tap]:
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"module needs to be a torch.nn.Module; got {type(module).__name__}.")
    if isinstance(module, torch.nn.DataParallel | torch.jit.ScriptModule):
        raise InputError(
            f"module is a {type(module).__name__}, which answers to no hooks. Give the plain module it was made from."
        )
    if isinstance(layers, str) or not layers:
        raise InputError(f"layers needs a list of at least one module path; got {layers!r}.")
    paths = [path for path, _ in module.named_modules(remove_duplicate=False)]
    return [_find_tap(name, paths) for name in dict.fromkeys(layers)]


def _find_tap(name: str, paths: list[str]) -> Tap:
    if name in paths:
        return Tap(name, name, None)
    path, _, call = name.rpartition("#")
    if path in paths and call.isdecimal():
        return Tap(name, path, int(call))
    wanted = path if call.isdecimal() else name
    near = difflib.get_close_matches(wanted, paths, n=6, cutoff=0.5) or [path for path in paths if path][:6]
    raise MissingError(
        f"the module has no layer {name!r}; near names: {', '.join(near)}. "
        "All of them: [name for name, _ in module.named_modules()]."
    )


def _grid(pool: Pool) -> int | None:
    """Cells a side that `pool` asks for; None for every position."""
    if pool is None or pool == "mean":
        return None if pool is None else 1
    if isinstance(pool, bool) or not isinstance(pool, Integral) or pool < 1:
        raise InputError(f"pool needs None, 'mean' or a number of cells a side, at least 1; got {pool!r}.")
    return int(pool)


def _as_input(batch: Any, preprocess: Callable[[Any], torch.Tensor] | None, module: torch.nn.Module) -> torch.Tensor:
    """The module's input for one batch."""
    if preprocess is not None:
        x = preprocess(batch)
        if not isinstance(x, torch.Tensor) or x.ndim < 1 or len(x) != len(batch):
            got = f"shape {tuple(x.shape)}" if isinstance(x, torch.Tensor) else type(x).__name__
            raise InputError(f"preprocess needs to give a tensor of {len(batch)} stimuli, as it got; gave {got}.")
        return _suited(x, module)
    x = channels_first(batch)
    if x.ndim == 4 and not x.is_floating_point():
        raise InputError(
            f"stimuli are images of {x.dtype} and preprocess is missing: which scale does the network expect? Give "
            "preprocess=, e.g. lambda batch: torch.from_numpy(batch).permute(0, 3, 1, 2) / 255."
        )
    return _suited(x, module)


def _suited(x: torch.Tensor, module: torch.nn.Module) -> torch.Tensor:
    """`x` in the precision and memory layout of the module's weights.

    Layout because convolutions hand it on: a module's own ``.view()`` would fail on images left channels last, and a
    module brought to channels last for speed would turn every batch around.
    """
    weights = [weight for weight in module.parameters() if weight.is_floating_point()]
    if weights and x.is_floating_point():
        x = x.to(weights[0].dtype)
    turned = any(weight.ndim == 4 and not weight.is_contiguous() for weight in weights)
    return x.contiguous(memory_format=torch.channels_last if turned and x.ndim == 4 else torch.contiguous_format)


@contextmanager
def _borrowed(module: torch.nn.Module, device: torch.device) -> Iterator[Callable[[torch.Tensor], Any]]:
    """A forward pass of `module` on `device`, in evaluation mode, that leaves no trace on it.

    Weights are lent to the module for each call rather than moved, and buffers are copies: after a failure anywhere
    there is nothing to undo.
    """
    state = {name: weight.detach().to(device) for name, weight in module.named_parameters()}
    state |= {name: buffer.detach().to(device, copy=True) for name, buffer in module.named_buffers()}
    training = [(part, part.training) for part in module.modules()]
    generators = [device] if device.type == "cuda" else []
    try:
        module.eval()
        with torch.random.fork_rng(devices=generators), torch.no_grad():
            yield lambda x: torch.func.functional_call(module, state, (x.to(device),))
    finally:
        for part, flag in training:
            part.training = flag
