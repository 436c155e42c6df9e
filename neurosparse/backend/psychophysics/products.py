"""Products with one large matrix that stays where it is: in numpy on the CPU, on the device elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Product = Callable[[Floats], Floats]


def left_product(held: Floats, device: Any = "cpu") -> Product:
    """``part -> part @ held``, with `held` kept on `device`.

    Parameters
    ----------
    held : (inner, column) float array
    device : {"auto", "cpu", "cuda"} or torch.device
        On the CPU the product is numpy's own; elsewhere it is torch's, in the dtype of `held`.

    Returns
    -------
    callable
        Takes (row, inner), gives (row, column), both numpy.
    """
    if str(device) == "cpu":
        return lambda part: part @ held
    import torch

    from neurosparse.backend.devices import resolve_device

    place = resolve_device(device)
    if place.type == "cpu":
        return lambda part: part @ held
    there = torch.from_numpy(np.ascontiguousarray(held)).to(place)

    def product(part: Floats) -> Floats:
        moved = torch.from_numpy(np.ascontiguousarray(part)).to(place, there.dtype)
        return np.asarray((moved @ there).cpu().numpy())

    return product
