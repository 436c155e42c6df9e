"""The measures under one roof: how each prepares a side, compares two, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosparse.backend.linear import fisher_mean
from neurosparse.backend.representational import canonical, kernels, matchings, shapes
from neurosparse.backend.representational.distances import correlation_distances
from neurosparse.backend.resampling import is_real, spearman_brown
from neurosparse.errors import InputError

Array = NDArray[np.float64]
Folds = Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]


@dataclass(frozen=True)
class Metric:
    """A measure of similarity, higher is better.

    Attributes
    ----------
    name : str
    prepare : callable (x, folds) -> state
        What one side contributes. `folds` are (train, test) pairs; measures without a fit ignore them.
    compare : callable (state, state) -> float
    free : str
        What may differ without changing the value: the equivalence class.
    blind_to : str
        What may differ although a reader might care.
    bounds : str
        Range of the value.
    held_out : bool
        Whether something is fitted on training samples and scored on test samples.
    symmetric : bool
    permuted : callable (state, order) -> state, optional
        A prepared side with its samples in another order, where that is cheaper than preparing it again.
    share_of_signal : callable (state of one half, of the other, of all repeats) -> float
        Its value between noisy and noise-free averages of one code, squared.
    """

    name: str
    prepare: Callable[[Array, Folds], Any]
    compare: Callable[[Any, Any], float]
    free: str
    blind_to: str
    bounds: str
    held_out: bool
    symmetric: bool = True
    permuted: Callable[[Any, NDArray[np.int64]], Any] | None = None
    share_of_signal: Callable[[Any, Any, Any], float] | None = None


def metric_named(name: str, *, alpha: float = 1.0, components: float | int = 0.95, mass: float = 0.8) -> Metric:
    """One of `METRICS` with its options.

    Parameters
    ----------
    name : str
    alpha : float
        Of "shape": 1 frees rotations, 0 any linear map.
    components : int or float
        Of "cca": how many principal components, or what share of variance.
    mass : float
        Of "partial_soft": share of units that is matched.

    Raises
    ------
    InputError
        If there is no such measure, or its option is out of range.
    """
    if not isinstance(name, str) or name not in METRICS:
        raise InputError(f"metric must be one of {sorted(METRICS)}; got {name!r}.")
    options = {"shape": {"alpha": alpha}, "cca": {"components": components}, "partial_soft": {"mass": mass}}
    return METRICS[name](**options.get(name, {}))


def _of_kernels(name: str, kernel: Callable[[Array], kernels.Kernel], compare: Any, **said: Any) -> Metric:
    """A measure of kernels over samples: nothing is fitted, and another order of samples is another order of rows."""
    return Metric(
        name,
        lambda x, folds: kernel(x),
        compare,
        held_out=False,
        permuted=kernels.Kernel.reordered,
        **said,
    )


def _cka() -> Metric:
    return _of_kernels(
        "cka",
        kernels.linear_kernel,
        kernels.debiased_cka,
        free="rotation, isotropic scale, offset",
        blind_to="directions of little variance, and which units carry what",
        bounds="0 on average for independent codes, to 1; either may be passed by chance",
        share_of_signal=lambda one, other, full: kernels.hsic(one, other) / kernels.hsic(full, full),
    )


def _rsa() -> Metric:
    return _of_kernels(
        "rsa",
        correlation_distances,
        kernels.kernel_cosine,
        free="monotone change of all distances; scale and offset of each pattern; rotations that keep the mean pattern",
        blind_to="overall activity of a stimulus, and which units carry what",
        bounds="-1 to 1 (Spearman's rho of the distances)",
        share_of_signal=_lifted(kernels.kernel_cosine),
    )


def _crossnobis() -> Metric:
    return _of_kernels(
        "crossnobis",
        kernels.linear_kernel,
        kernels.kernel_cosine,
        free="rotation of noise-whitened units, isotropic scale, offset",
        blind_to="directions of little signal relative to noise, and which units carry what",
        bounds="-1 to 1 (whitened cosine of unbiased distances)",
    )


def _shape(alpha: float = 1.0, name: str = "shape") -> Metric:
    if not is_real(alpha) or not 0 <= alpha <= 1:
        raise InputError(f"alpha must lie between 0 (any linear map) and 1 (rotations); got {alpha!r}.")
    free = {1.0: "rotation, isotropic scale, offset", 0.0: "any invertible linear map, offset"}
    return Metric(
        name,
        partial(_by_fold, lambda train, test: shapes.prepared(train, test, alpha)),
        _mean_of_folds(shapes.held_out_shape),
        free=free.get(
            float(alpha), f"rotation of codes whitened by 1 - alpha = {1 - alpha:g}, isotropic scale, offset"
        ),
        blind_to="which units carry what"
        + ("; directions of little variance" if alpha > 0.5 else "; how much variance a direction has"),
        bounds="0 on average for independent codes, to 1; its arccos is the angular shape distance, scored held out",
        held_out=True,
        share_of_signal=_lifted(_mean_of_folds(shapes.held_out_shape)),
    )


def _cca(components: float | int = 0.95) -> Metric:
    return Metric(
        "cca",
        partial(_by_fold, lambda train, test: canonical.principal_scores(train, test, components)),
        _mean_canonical,
        free="any invertible linear map of the kept principal components, offset",
        blind_to="how much variance a direction has, what lies outside the kept components, and further dimensions of "
        "the larger side",
        bounds="0 on average for independent codes, to 1 (mean over canonical directions)",
        held_out=True,
        share_of_signal=_lifted(_mean_canonical),
    )


def _matching(
    name: str, pairs: Callable[[Any, Any], Any], free: str, blind_to: str, symmetric: bool = True
) -> Callable[..., Metric]:
    def build(**options: Any) -> Metric:
        compare = _mean_of_folds(partial(pairs, **options))
        return Metric(
            name,
            partial(_by_fold, matchings.standardised),
            compare,
            free=free,
            blind_to=blind_to,
            bounds="0 on average for independent codes, to 1 (mean r of matched units)",
            held_out=True,
            symmetric=symmetric,
            share_of_signal=_lifted(compare),
        )

    return build


def _by_fold(part: Callable[[Array, Array], tuple[Array, Array]], x: Array, folds: Folds) -> list[tuple[Array, Array]]:
    return [part(x[train], x[test]) for train, test in folds]


def _mean_of_folds(score: Callable[..., Any]) -> Callable[[Any, Any], float]:
    """Mean over units within each fold, then over folds; NaN units (silent on the test samples) are left out."""

    def compare(x: list[Any], y: list[Any]) -> float:
        values = [np.atleast_1d(score(a, b)) for a, b in zip(x, y, strict=True)]
        seen = [value[np.isfinite(value)] for value in values]
        means = [value.mean() for value in seen if value.size]
        return float(np.mean(means)) if means else float("nan")

    return compare


def _mean_canonical(x: list[Any], y: list[Any]) -> float:
    found = [canonical.held_out_canonical(a, b) for a, b in zip(x, y, strict=True)]
    n = min(len(r) for r in found)  # a fold may keep one component more than another
    return float(np.nanmean(fisher_mean(np.stack([r[:n] for r in found]))))


def _lifted(compare: Callable[[Any, Any], float]) -> Callable[[Any, Any, Any], float]:
    """Similarity of halves of the repeats, lifted to all of them by Spearman-Brown."""
    return lambda one, other, full: float(spearman_brown(np.array(compare(one, other))))


_UNITS_FREE = "order, offset and positive scale of units"

METRICS: dict[str, Callable[..., Metric]] = {
    "cka": _cka,
    "rsa": _rsa,
    "crossnobis": _crossnobis,
    "shape": _shape,
    "procrustes": partial(_shape, 1.0, "procrustes"),
    "cca": _cca,
    "one_to_one": _matching(
        "one_to_one",
        matchings.one_to_one,
        _UNITS_FREE,
        "units of the larger side that are left unmatched",
    ),
    "semi": _matching(
        "semi",
        matchings.semi_matching,
        _UNITS_FREE + ", copies of them",
        "units of x that nobody matches: directional, y from x",
        symmetric=False,
    ),
    "soft": _matching(
        "soft",
        matchings.soft_matching,
        _UNITS_FREE + ", the same number of copies of each",
        "which of several similar units is which",
    ),
    "partial_soft": _matching(
        "partial_soft",
        matchings.soft_matching,
        _UNITS_FREE + ", the same number of copies of each",
        "the units that match worst (a share of 1 - mass)",
    ),
}
