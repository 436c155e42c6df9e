"""Before a fit: could a dictionary of such data be the true one?"""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from neurosparse.backend import limits
from neurosparse.backend.limits import Bound, Plan, World
from neurosparse.errors import EvidenceWarning, InputError
from neurosparse.files import cache_folder, content_key, write_whole
from neurosparse.sparse_coding.knowing import Data, given, measured

# Part of the key of cached worlds: raise it when the planted law or the learner changes what they find.
EDITION = "3"
_SAID = {
    "events": "{has:.3g} distinct events an atom (n k / N) of {needed:.3g} wanted",
    "samples": "{has:.4g} independent samples, of the {needed:.4g} that counting needs (M N / (M - k))",
    "units": "{has:.4g} units, of the {needed:.3g} that sparse codes ask for (2 k ln(N / k))",
    "detection": "an active atom is {has:.3g} noise variances, of the {needed:.3g} that stand out of N (2 ln N)",
}


def recoverability(
    x: Any = None,
    *,
    n_atoms: int,
    n_active: int | None = None,
    n_units: int | None = None,
    n_samples: int | None = None,
    reliability: Any = None,
    tau: float | None = None,
    codes: str = "nonnegative",
    atoms: str = "signed",
    n_worlds: int = 4,
    random_state: int = 0,
    cache: bool = True,
    nan: str = "raise",
    progress: bool = False,
) -> xr.Dataset:
    """Can a fit of such data find the true atoms: by counting, by theory, in planted worlds of their size and noise?

    A world has the data's numbers of units and of independent samples, their covariance and noise, and n_atoms random
    directions of which n_active are active at a time. What a fit finds of them is what the data's own atoms, if they
    are as good as these, can be expected to be found of.

    Parameters
    ----------
    x : population, (sample, unit) array or tensor, optional
        What would be fitted. A population of trials with repeated stimuli stands for its averages, and tells its
        reliability; so does one that comes from `population.scale_by_noise`. Or give `n_units` and `n_samples`.
    n_atoms : int
    n_active : int, optional
        Atoms active in a sample, k. No recording says it: try several. Default: a tenth of the atoms, or fewer where
        the units would not carry so many (2 k ln(N / k)).
    n_units, n_samples : int, optional
        M and n, without `x`; the signal then is alike in all directions.
    reliability : float or (unit,) array, optional
        Share of each unit's variance in the samples that is signal. Default: what `x` says, else 1, no noise.
    tau : float, optional
        Samples that count as one. Default: the autocorrelation time along ``time`` of a population, else 1.
    codes, atoms
        As in `DictionaryLearning`.
    n_worlds : int
        Planted worlds, active codes of spread and of narrow sizes in turn; 0 for theory alone, which is instant and
        coarse.
    random_state : int
    cache : bool
        Whether worlds are kept in, and taken from, the cache folder.
    nan : {"raise", "drop"}
    progress : bool

    Returns
    -------
    Dataset
        Over ``bound`` (events, samples, units, detection): ``has``, ``needed``, ``met``. Over ``world``: ``cosine``
        (mean |cos| of true atoms with those found), ``share_above_90`` and ``amplitudes`` (spread: |N(0, 1)|; or
        narrow). ``expected_cosine``, ``null`` over ``control`` and ``corrected``, ``(expected - c) / (1 - c)`` with the
        largest null c; NaN without worlds.
        ``cosine_ceiling``: |cos| of who knows the codes. attrs: ``verdict`` (possible, marginal or impossible),
        ``reasons``, ``summary`` (to print), and the sizes.

    Raises
    ------
    InputError
        If sizes are missing or contradict each other.

    Warns
    -----
    EvidenceWarning
        If a fit cannot succeed.

    Notes
    -----
    "possible" from a corrected |cos| of .8 on, "impossible" below .5 or below the wall of counting. A world takes 1.6
    CPU seconds at 50 units, 100 atoms and 640 samples, 2.6 at 4,840 samples, and more with any of them. Worlds are
    kind: their atoms are in no hierarchy and equally frequent, the noise is Gaussian. What they lack, data lack; the
    reverse does not hold: whether a recording has such features at all is for `surrogate_test`.

    Examples
    --------
    >>> found = recoverability(n_atoms=64, n_active=3, n_units=50, n_samples=5000, n_worlds=0)
    >>> print(found.attrs["summary"])
    64 atoms, 3 active (given), in 50 units and 5000 samples: possible
    ...
    """
    if x is None:
        data = given(n_units, n_samples, reliability, tau)
    elif n_units is None and n_samples is None:
        data = measured(x, reliability, tau, nan)
    else:
        raise InputError("x has its own numbers of units and samples: leave n_units and n_samples out.")
    _check(data, n_atoms, n_active, n_worlds)
    m = len(data.signal)
    k = _usual_active(m, n_atoms) if n_active is None else int(n_active)
    distinct = max(2, round(data.n_samples / data.tau))
    plan = Plan(int(n_atoms), k, distinct, data.signal, data.noise, codes, atoms)  # type: ignore[arg-type]
    bounds = limits.bounds(m, n_atoms, k, data.n_samples / data.tau, plan.reliability)
    worlds = _worlds(plan, n_worlds if distinct >= max(n_atoms, 20) else 0, random_state, cache, progress)
    result = _dataset(plan, data, bounds, worlds, n_active is None)
    if result.attrs["verdict"] == "impossible":
        warnings.warn(
            f"a fit of {n_atoms} atoms to these data cannot succeed: {result.attrs['reasons']}.",
            EvidenceWarning,
            stacklevel=2,
        )
    return result


def _check(data: Data, n_atoms: Any, n_active: Any, n_worlds: Any) -> None:
    if int(n_atoms) != n_atoms or n_atoms < 2:
        raise InputError(f"n_atoms must be a whole number of at least 2; got {n_atoms!r}.")
    if n_active is not None and not (int(n_active) == n_active and 1 <= n_active < n_atoms):
        raise InputError(f"n_active must be from 1 to below the {n_atoms} atoms; got {n_active!r}.")
    if not data.tau >= 1:
        raise InputError(f"tau is the number of samples that count as one, at least 1; got {data.tau}.")
    if int(n_worlds) != n_worlds or n_worlds < 0:
        raise InputError(f"n_worlds must be a whole number of at least 0; got {n_worlds!r}.")


def _usual_active(n_units: int, n_atoms: int) -> int:
    """A tenth of the atoms, but no more than the units carry."""
    active = np.arange(1, max(1, n_atoms // 10) + 1)
    return int(active[2 * active * np.log(n_atoms / active) <= n_units].max(initial=1))


def _worlds(plan: Plan, n_worlds: int, random_state: int, cache: bool, progress: bool) -> list[World]:
    """Fitted worlds, from the cache where they were fitted before."""
    if not n_worlds:
        return []
    arrays = (np.ascontiguousarray(part).round(12).tobytes() for part in (plan.signal, plan.noise))
    sizes = (plan.n_atoms, plan.n_active, plan.n_samples, plan.codes, plan.atoms, n_worlds, random_state)
    path = (
        cache_folder() / "recoverability" / f"{content_key(EDITION, repr(sizes), *arrays)[:32]}.json" if cache else None
    )
    if path is not None and path.exists():
        return [World(**entry) for entry in json.loads(path.read_text(encoding="utf-8"))]
    with tqdm(total=n_worlds, desc="worlds", disable=not progress) as bar:
        worlds = limits.fit_worlds(plan, n_worlds, random_state=random_state, on_step=lambda _: bar.update())
    if path is not None:
        path.parent.mkdir(exist_ok=True)
        with write_whole(path) as temporary:
            temporary.write_text(json.dumps([world._asdict() for world in worlds]), encoding="utf-8")
    return worlds


def _dataset(plan: Plan, data: Data, bounds: dict[str, Bound], worlds: list[World], assumed: bool) -> xr.Dataset:
    controls = list(worlds[0].chance) if worlds else []
    null = np.array([np.mean([world.chance[name] for world in worlds]) for name in controls])
    cosine = np.array([world.cosine for world in worlds])
    verdict = limits.judge(bounds, worlds)
    result = xr.Dataset(
        {
            "has": ("bound", [bound.has for bound in bounds.values()]),
            "needed": ("bound", [bound.needed for bound in bounds.values()]),
            "met": ("bound", [bound.met for bound in bounds.values()]),
            "cosine": ("world", cosine),
            "share_above_90": ("world", [world.share_above_90 for world in worlds]),
            "amplitudes": ("world", [world.amplitudes for world in worlds]),
            "expected_cosine": cosine.mean() if worlds else np.nan,
            "null": ("control", null),
            "corrected": limits.corrected(worlds) if worlds else np.nan,
            "cosine_ceiling": limits.cosine_ceiling(plan.n_atoms, plan.n_samples, plan.reliability),
        },
        coords={"bound": list(bounds), "control": controls},
    )
    result.attrs = {
        "verdict": verdict,
        "reasons": _reasons(result, bounds),
        "n_atoms": plan.n_atoms,
        "n_active": plan.n_active,
        "n_active_from": "assumed" if assumed else "given",
        "n_samples": data.n_samples,
        "n_units": len(plan.signal),
        "reliability": plan.reliability,
        "reliability_from": data.known_from,
        "tau": data.tau,
        "direction": "higher is better",
        "equivalence": "permutation and sign of atoms",
    }
    result.attrs["summary"] = _summary(result, bounds)
    return result


def _reasons(result: xr.Dataset, bounds: dict[str, Bound]) -> str:
    """Every bound that is missed, and what the worlds gave."""
    missed = [_SAID[name].format(**bound._asdict()) for name, bound in bounds.items() if not bound.met]
    if result.sizes["world"]:
        missed.append(
            f"planted worlds like these give |cos| {float(result.expected_cosine):.2f} where chance is "
            f"{float(result.null.max()):.2f}"
        )
    return "; ".join(missed) or "all bounds are met"


def _summary(result: xr.Dataset, bounds: dict[str, Bound]) -> str:
    """The whole of it in lines."""
    said = result.attrs
    lines = [
        f"{said['n_atoms']} atoms, {said['n_active']} active ({said['n_active_from']}), in {said['n_units']} units and "
        f"{said['n_samples']} samples: {said['verdict']}",
        f"reliability {said['reliability']:.2f} ({said['reliability_from']}), tau {said['tau']:.3g} samples",
        *(("  " if bound.met else "! ") + _SAID[name].format(**bound._asdict()) for name, bound in bounds.items()),
    ]
    if result.sizes["world"]:
        best = result.control.values[result.null.values.argmax()]
        lines.append(
            f"expected |cos| {float(result.expected_cosine):.2f} (worlds {float(result.cosine.min()):.2f} to "
            f"{float(result.cosine.max()):.2f}), null {float(result.null.max()):.2f} "
            f"({best}), who knows the codes {float(result.cosine_ceiling):.2f}"
        )
    return "\n".join(lines)
