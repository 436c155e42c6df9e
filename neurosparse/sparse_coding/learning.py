"""The dictionary learner as a scikit-learn estimator."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import xarray as xr
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm import tqdm

from neurosparse.backend import dictionary as backend
from neurosparse.backend.devices import resolve_device
from neurosparse.backend.dictionary.counts import count_codes, fit_counts
from neurosparse.backend.dictionary.nuisance import nuisance_directions
from neurosparse.backend.dictionary.settings import KEPT_ENTRIES
from neurosparse.backend.inference import held_out_entries
from neurosparse.errors import ConvergenceWarning, FileError, InputError
from neurosparse.files import content_key
from neurosparse.population import as_matrix, record
from neurosparse.sparse_coding import storing
from neurosparse.sparse_coding.checking import check_settings, unit_scale, warn_of_evidence
from neurosparse.sparse_coding.coding import encode_rows, label_codes, same_units

CODE_TOL = 1e-6
CODE_STEPS = 100_000
_KIND, _HALF_DONE = "dictionary", "fit under way"
_ARRAYS = ("utility_", "usage_", "mean_", "nuisance_")
_NOT_IN_KEY = ("checkpoint", "checkpoint_minutes", "progress", "nan")


class DictionaryLearning(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Learn the dictionary that makes samples sparse.

    ``min over D, b, z of 1 / n sum_i 1/2 ||x_i - b - z_i D||^2 + penalty |z_i|_1`` with atoms (rows of D) of unit norm,
    b the offset, z the codes. More atoms than units are allowed: the code may be in superposition.

    Parameters
    ----------
    n_atoms : int
        At most the number of samples; 30 samples or more an atom are wanted. With too many, the last ones (atoms are
        sorted by utility) are used less and can be left out.
    penalty : float or "auto"
        In units of the data. ``"auto"`` takes the largest whose dictionary, learned from four fifths of the samples,
        foretells hidden entries of the others within one standard error of the best: no label, no sparsity is given.
    codes : {"nonnegative", "signed"}
    atoms : {"signed", "nonnegative"}
        Signed for centred or scaled responses; non-negative where a feature can only add, as in raw counts.
    offset : bool
        Whether an offset is learned, rather than 0.
    loss : {"squared", "poisson", "sqrt"}
        ``"poisson"``: for raw counts, an identity link, under which features add; needs non-negative atoms and codes.
        The dictionary of the squared loss with weights 1 / mean is improved in the likelihood. ``"sqrt"``: the squared
        loss of the square root of counts; descriptive, since it breaks additivity.
    weights : (unit,) array, optional
        Of each unit's squared error, such as 1 / noise variance; penalties are then in units of the weighted data.
    n_nuisance : int
        Dimensions of a gain or neuropil shared by units, with codes that are not penalised. They are taken out of the
        samples, and atoms are learned in what is left.
    n_restarts : int or "auto"
        Starts at the most; the lowest objective wins, and the search ends when half of them, at least two, have found
        it. ``"auto"``: 256 / n_atoms, between 2 and 12 (1 from 256 atoms on).
    max_iter : int
        Rounds at the final penalty, at the most.
    tol : float
        Settled: over five rounds the objective fell by a smaller share.
    device : {"auto", "cpu", "cuda"} or torch.device
    random_state : int, numpy.random.RandomState or None
    nan : {"raise", "drop"}
        Whether a sample with NaN is an error, or is left out of the fit and gets codes of NaN.
    checkpoint : path-like, optional
        File that keeps a fit under way; a fit that is broken off resumes there, to the same result, when called again
        with the same data and parameters. Needs `random_state` to be a number. The file goes when the fit is done.
    checkpoint_minutes : float
        Between two writes; 0 for each step.
    progress : bool
        Whether to show a bar.

    Attributes
    ----------
    dictionary_ : (atom, unit)
        Unit norm; of the kind of the data (a DataArray with the unit coords for a population). In falling order of
        utility.
    offset_ : (unit,)
        Likewise.
    penalty_ : float
    penalty_path_ : dict of arrays or None
        ``penalty``, ``held_out_error`` and ``standard_error`` of the levels tried by ``"auto"``.
    utility_ : (atom,) array
        What the objective would lose without the atom, a sample.
    usage_ : (atom,) array
        Share of samples in which the atom is active.
    history_ : list of dict
        Of the winning start: ``stage``, ``penalty``, ``objective`` (of the batch while annealing), ``n_active``,
        ``replaced``. While settling the objective never rises.
    objective_ : float
    mean_ : (unit,) array
        Of the samples fitted; the baseline of `score`.
    nuisance_ : (dimension, unit) array
        Orthonormal in weighted units.
    n_iter_ : int
        Rounds of the winning start.
    n_features_in_ : int
        Units.

    Notes
    -----
    Annealed from a high penalty in batches, dispensable atoms exchanged for directions of the residual and rolled back
    where that does not pay, settled by exact codes and exact block-coordinate updates on the sphere; see
    `backend.dictionary`. A fit of 2,400 samples, 32 units and 64 atoms takes 2 to 4 s on one CPU thread. Same random
    state, same result on one device. Not here: masks.

    Examples
    --------
    >>> import numpy as np
    >>> atoms = np.kron([[1, 1], [1, -1]], [[1, 1], [1, -1]]) / 2
    >>> x = atoms[np.arange(240) % 4] * (1 + np.arange(240) % 3)[:, None]
    >>> learner = DictionaryLearning(4, penalty=0.05, offset=False, random_state=0).fit(x)
    >>> np.abs(learner.dictionary_ @ atoms.T).max(0).round(3), learner.transform(x).shape
    (array([1., 1., 1., 1.]), (240, 4))
    """

    def __init__(
        self,
        n_atoms: int,
        *,
        penalty: float | str = "auto",
        codes: str = "nonnegative",
        atoms: str = "signed",
        offset: bool = True,
        loss: str = "squared",
        weights: Any = None,
        n_nuisance: int = 0,
        n_restarts: int | str = "auto",
        max_iter: int = 500,
        tol: float = 1e-5,
        device: Any = "auto",
        random_state: Any = None,
        nan: str = "raise",
        checkpoint: Any = None,
        checkpoint_minutes: float = 5.0,
        progress: bool = False,
    ) -> None:
        self.n_atoms = n_atoms
        self.penalty = penalty
        self.codes = codes
        self.atoms = atoms
        self.offset = offset
        self.loss = loss
        self.weights = weights
        self.n_nuisance = n_nuisance
        self.n_restarts = n_restarts
        self.max_iter = max_iter
        self.tol = tol
        self.device = device
        self.random_state = random_state
        self.nan = nan
        self.checkpoint = checkpoint
        self.checkpoint_minutes = checkpoint_minutes
        self.progress = progress

    # Fitted, in units of the weighted data; and how long each atom is in units of the data.
    _atoms: np.ndarray
    _offset: np.ndarray
    _scale: np.ndarray
    _norms: np.ndarray
    penalty_: float
    history_: list[backend.Step]

    def fit(self, X: Any, y: Any = None) -> DictionaryLearning:
        """Learn dictionary and offset.

        Parameters
        ----------
        X : population, (sample, unit) array or tensor
            Of a population all dims but the last are samples. Recordings: repeat averages divided by the trial-noise
            sd.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        InputError
            If there are fewer samples than atoms or than 2, nothing varies, or an option is not valid.

        Warns
        -----
        EvidenceWarning
            If the samples cannot carry the dictionary; what is wrong is listed.
        DataWarning
            If units are constant; they are named.
        ConvergenceWarning
            If the objective still fell at `max_iter`.
        """
        values, _ = self._samples(X, reset=True)
        check_settings(self, len(values))
        self._scale = unit_scale(self, values)
        self.nuisance_ = np.zeros((0, values.shape[1]))
        random = check_random_state(self.random_state)
        with tqdm(desc="dictionary", disable=not self.progress, unit="step") as bar:

            def show(step: backend.Step) -> None:
                bar.set_postfix({name: entry for name, entry in step.items() if name != "restart"}, refresh=False)
                bar.update()

            if self.n_nuisance:
                self._find_nuisance(values, random, show)
            found, penalty = self._learn(values, random, show)
        if not found.converged:
            warnings.warn(
                f"the objective still fell by more than tol = {self.tol:g} over five rounds after max_iter = "
                f"{self.max_iter} rounds. Raise max_iter.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self._keep(X, values, found.learner, penalty)
        self.history_, self.n_iter_ = found.history, len(found.history)
        if self.loss == "poisson":
            self._improve_counts(X, values)
        warn_of_evidence(self, values, self._unit_names(), stacklevel=2)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> DictionaryLearning:
        """Learn on from the next samples of a stream; what was learned from the first ones fades.

        Samples are taken in the order given, in batches of 2 n_atoms (at least 256), each one step of annealing and
        then of refinement at the final penalty. There are no restarts and no replacement, and ``"auto"`` takes the
        penalty from the first call's samples.

        Parameters
        ----------
        X : population, (sample, unit) array or tensor
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        InputError
            If the loss is Poisson or nuisance dimensions are wanted, which need all samples at once.
        """
        first = not hasattr(self, "_stream")
        values, _ = self._samples(X, reset=first)
        check_settings(self, len(values) if first else 2, stream=True)
        if self.loss == "poisson" or self.n_nuisance:
            raise InputError("partial_fit has no loss='poisson' and no nuisance dimensions: they need fit.")
        if first:
            self._begin_stream(values)
        x, learner = self._tensor(values).float(), self._stream
        size = backend.batch_size(learner.settings, 10**12, self.n_atoms)
        for start in range(0, len(x), size):
            penalty = float(self._penalties[min(len(self.history_), len(self._penalties) - 1)])
            objective = learner.learn_from(x[start : start + size], penalty, self._window)
            statistics = learner.statistics
            n_active = float(statistics.events.sum() / statistics.weight)
            self.history_.append(
                {"stage": "stream", "penalty": penalty, "objective": objective, "n_active": n_active, "replaced": 0}
            )
        learner.objective = self.history_[-1]["objective"]
        self._keep(X, values, learner, float(self._penalties[-1]))
        self.mean_ = (learner.statistics.total / learner.statistics.weight).double().cpu().numpy() / self._scale
        self.n_iter_ = len(self.history_)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted dictionary as safetensors with a JSON header; `load` gives it back.

        A stream can not go on from the file: that is what `checkpoint` is for in a `fit`.
        """
        check_is_fitted(self)
        arrays = {name: getattr(self, name) for name in (*_ARRAYS, "_atoms", "_offset", "_scale", "_norms")}
        path_facts = self.penalty_path_
        if path_facts is not None:
            arrays |= {f"penalty_path_.{name}": entry for name, entry in path_facts.items()}
        header = {
            "kind": _KIND,
            "parameters": {name: storing.plain(value) for name, value in self.get_params().items()},
            "container": "torch" if isinstance(self.dictionary_, torch.Tensor) else "numpy",
            "labels": storing.labels_to_json(self.dictionary_),
            "penalty": self.penalty_,
            "objective": self.objective_,
            "history": self.history_,
        }
        storing.write(path, arrays, header)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> DictionaryLearning:
        """The dictionary that `save` wrote. No code is run from the file.

        Raises
        ------
        FileError
            If the file is missing, no safetensors, or holds something else.
        """
        arrays, header = storing.read(path, _KIND)
        learner = cls(**header["parameters"])
        for name in (*_ARRAYS, "_atoms", "_offset", "_scale", "_norms"):
            setattr(learner, name, arrays[name])
        tried = {name.partition(".")[2]: entry for name, entry in arrays.items() if name.startswith("penalty_path_.")}
        learner.penalty_path_ = tried or None
        learner.penalty_, learner.objective_ = header["penalty"], header["objective"]
        learner.history_, learner.n_iter_ = header["history"], len(header["history"])
        learner.n_features_in_ = learner._atoms.shape[1]
        units = None if header["labels"] is None else storing.labels_from_json(header["labels"])
        learner._label(units, header["container"] == "torch")
        return learner

    def transform(self, X: Any) -> Any:
        """Sparse codes at the fitted penalty, duality gap 1e-6.

        Parameters
        ----------
        X : population, (sample, unit) array or tensor
            With the units of the fit, in their order.

        Returns
        -------
        population (..., atom), array or tensor (sample, atom)
            Of the kind of `X`.
        """
        check_is_fitted(self)
        values, samples = self._samples(X, reset=False)
        codes = self._encode(values)
        if samples is None:
            return codes
        labelled = label_codes(samples, codes)
        if isinstance(labelled, xr.DataArray):
            labelled = record(
                labelled, "sparse codes", n_atoms=len(self._atoms), penalty=self.penalty_, codes=self.codes
            )
        return labelled

    def inverse_transform(self, X: Any) -> Any:
        """Responses of codes: ``offset + z D``.

        Parameters
        ----------
        X : population (..., atom), array or tensor (sample, atom)

        Returns
        -------
        population (..., unit), array or tensor (sample, unit)
            Of the kind of `X`.
        """
        check_is_fitted(self)
        samples = as_matrix(X, nan=self.nan, name="codes")  # type: ignore[arg-type]
        if samples.shape[1] != len(self._atoms):
            raise InputError(f"codes need the dictionary's {len(self._atoms)} atoms; got {samples.shape[1]}.")
        units = self.dictionary_["unit"].values if isinstance(self.dictionary_, xr.DataArray) else None
        return samples.label(
            samples.values @ self._plain() + self._offset / self._scale,
            coords=None if units is None else {"unit": units},
        )

    def score(self, X: Any, y: Any = None) -> float:
        """Share of variance foretold in entries that the codes did not see; higher is better.

        Every unit of each sample is hidden once, in ten groups, its codes inferred from the other units and the hidden
        entries read off the dictionary: ``1 - sum (x - xhat)^2 / sum (x - mean_)^2``, the mean being that of the
        samples fitted. Give samples that were not fitted. Unlike reconstruction it does not rise without end with
        atoms.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        values, _ = self._samples(X, reset=False)
        seen = self._view(values)
        error = held_out_entries(seen - self._offset, self._atoms, self.penalty_, codes=self.codes)  # type: ignore[arg-type]
        total = np.square(seen - self._view(self.mean_[None])).sum()
        return float(1 - error.sum() / total) if total > 0 else 0.0

    @property
    def _n_features_out(self) -> int:
        return len(self._atoms)

    def _samples(self, X: Any, reset: bool) -> tuple[np.ndarray, Any]:
        """(sample, unit) numbers and, unless plain arrays come and go, the way back to labels."""
        if not isinstance(X, xr.DataArray | torch.Tensor) and self.nan == "raise":
            return validate_data(self, X, reset=reset, dtype=np.float64), None
        samples = as_matrix(X, nan=self.nan, name="X")  # type: ignore[arg-type]
        if reset:
            self.n_features_in_ = samples.shape[1]
        elif samples.shape[1] != self.n_features_in_:
            raise InputError(
                f"X has {samples.shape[1]} units, but this dictionary was learned over {self.n_features_in_}. Select "
                "the same units."
            )
        elif isinstance(X, xr.DataArray) and isinstance(self.dictionary_, xr.DataArray):
            same_units(self.dictionary_["unit"].values, X["unit"].values, "the dictionary", "X")
        return samples.values, samples

    def _settings(self) -> backend.Settings:
        return backend.Settings(
            codes=self.codes,  # type: ignore[arg-type]
            atoms=self.atoms,  # type: ignore[arg-type]
            offset=self.offset,
            max_iter=self.max_iter,
            tol=self.tol,
        )

    def _view(self, values: np.ndarray) -> np.ndarray:
        """Samples as the squared loss sees them: rooted, weighted, the nuisance taken out."""
        seen = (np.sqrt(values) if self.loss == "sqrt" else values) * self._scale
        return seen - (seen @ self.nuisance_.T) @ self.nuisance_ if len(self.nuisance_) else seen

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        place = resolve_device(self.device)
        exact = place.type == "cpu" and len(values) * self.n_atoms <= KEPT_ENTRIES
        return torch.from_numpy(np.array(self._view(values), order="C")).to(
            place, torch.float64 if exact else torch.float32
        )

    def _encode(self, values: np.ndarray) -> np.ndarray:
        """Codes for the atoms of unit norm in units of the data, (sample, atom)."""
        if self.loss == "poisson":
            atoms, offset = self._atoms / self._scale, self._offset / self._scale
            return count_codes(values, atoms, offset, self.penalty_) * self._norms
        found = encode_rows(
            self._view(values) - self._offset,
            self._atoms,
            self.penalty_,
            codes=self.codes,  # type: ignore[arg-type]
            tol=CODE_TOL if resolve_device(self.device).type == "cpu" else 1e-4,
            max_iter=CODE_STEPS,
            device=self.device,
        )
        return np.asarray(found.codes * self._norms)

    def _penalty(self, x: torch.Tensor, random: Any, show: backend.OnStep) -> float:
        self.penalty_path_ = None
        if self.penalty != "auto":
            if isinstance(self.penalty, str) or not (np.isfinite(self.penalty) and self.penalty > 0):
                raise InputError(f"penalty must be 'auto' or a number above 0; got {self.penalty!r}.")
            return float(self.penalty)
        path = backend.choose_penalty(x, self.n_atoms, self._settings(), random_state=random, on_step=show)
        self.penalty_path_ = {
            "penalty": path.penalties,
            "held_out_error": path.error,
            "standard_error": path.standard_error,
        }
        return path.penalty

    def _learn(self, values: np.ndarray, random: Any, show: backend.OnStep) -> tuple[backend.Fit, float]:
        """Fit from the start, or from where a checkpoint of the same fit stands."""
        x = self._tensor(values)
        state, keep = None, None
        if self.checkpoint is not None:
            key = self._key(values)
            state, penalty = self._resume(key)
        if state is None:
            penalty = self._penalty(x, random, show)
        if self.checkpoint is not None:
            keep = self._keeper(key, penalty)
        found = backend.fit(
            x,
            self.n_atoms,
            penalty,
            self._settings(),
            n_restarts=self._restarts(),
            random_state=random,
            on_step=show,
            on_state=keep,
            state=state,
        )
        if self.checkpoint is not None:
            os.remove(self.checkpoint) if os.path.exists(self.checkpoint) else None
        return found, penalty

    def _key(self, values: np.ndarray) -> str:
        """What a checkpoint must share with the fit that resumes it."""
        if not isinstance(self.random_state, int | np.integer):
            raise InputError(f"checkpoint needs random_state to be a number; got {self.random_state!r}.")
        told = {name: storing.plain(value) for name, value in self.get_params().items() if name not in _NOT_IN_KEY}
        return content_key(repr(sorted(told.items())), repr(values.shape), np.ascontiguousarray(values).tobytes())

    def _resume(self, key: str) -> tuple[dict[str, np.ndarray] | None, float]:
        if not os.path.exists(self.checkpoint):
            return None, 0.0
        arrays, header = storing.read(self.checkpoint, _HALF_DONE)
        if header["key"] != key:
            raise FileError(
                f"{self.checkpoint} holds a fit of other data or parameters. Remove it, or name another checkpoint."
            )
        tried = {name.partition("/")[2]: entry for name, entry in arrays.items() if name.startswith("path/")}
        self.penalty_path_ = tried or None
        return {name: entry for name, entry in arrays.items() if "/" not in name}, float(header["penalty"])

    def _keeper(self, key: str, penalty: float) -> Callable[[backend.Search], None]:
        """Writes the state of a search, now and then."""
        path = {f"path/{name}": entry for name, entry in (self.penalty_path_ or {}).items()}
        last = time.monotonic()

        def keep(search: backend.Search) -> None:
            nonlocal last
            if time.monotonic() - last >= 60 * self.checkpoint_minutes:
                header = {"kind": _HALF_DONE, "key": key, "penalty": penalty}
                storing.write(self.checkpoint, search.state() | path, header)
                last = time.monotonic()

        return keep

    def _find_nuisance(self, values: np.ndarray, random: Any, show: backend.OnStep) -> None:
        """Directions of what no code explains; the codes of a first dictionary tell the two apart."""
        seen = self._view(values)
        if self.n_nuisance >= min(seen.shape):
            raise InputError(f"n_nuisance = {self.n_nuisance} leaves nothing of {seen.shape[1]} units to learn from.")
        self.nuisance_ = nuisance_directions(seen, self.n_nuisance)
        for _ in range(2):
            x = self._tensor(values)
            penalty = self._penalty(x, random, show)
            found = backend.fit(x, self.n_atoms, penalty, self._settings(), random_state=random, on_step=show)
            self.nuisance_ = nuisance_directions(
                seen, self.n_nuisance, codes=found.learner.codes.double().cpu().numpy()
            )

    def _improve_counts(self, X: Any, values: np.ndarray) -> None:
        """From the weighted squared loss to the likelihood."""
        found = fit_counts(
            values,
            self._atoms / self._scale,
            self._offset / self._scale,
            self.penalty_,
            weights=self._scale**2,
            learn_offset=self.offset,
        )
        self.utility_, self.usage_ = 0.5 * np.square(found.codes).mean(0), (found.codes > 0).mean(0)
        order = np.argsort(-self.utility_, kind="stable")
        self.utility_, self.usage_ = self.utility_[order], self.usage_[order]
        self._atoms, self._offset = found.dictionary[order] * self._scale, found.offset * self._scale
        self.objective_ = found.objective[-1]
        self.history_ = [
            *self.history_,
            *({"stage": "counts", "penalty": self.penalty_, "objective": entry} for entry in found.objective),
        ]
        self._publish(X)

    def _begin_stream(self, values: np.ndarray) -> None:
        self._scale, self.nuisance_ = unit_scale(self, values), np.zeros((0, values.shape[1]))
        x, random = self._tensor(values), check_random_state(self.random_state)
        penalty = self._penalty(x, random, lambda step: None)
        settings = self._settings()
        start = random.standard_normal((self.n_atoms, values.shape[1]))
        start = np.abs(start) if self.atoms == "nonnegative" else start
        self._stream = backend.Learner(x.float(), torch.as_tensor(start).to(x.device, torch.float32), settings)
        first = settings.first_level * backend.reference_penalty(x, self.n_atoms, offset=self.offset)
        self._penalties = np.geomspace(max(first, penalty), penalty, settings.steps)
        self._window = float(backend.memory(settings, 10**12, self.n_atoms))
        self.history_ = []

    def _restarts(self) -> int:
        if self.n_restarts != "auto":
            return int(self.n_restarts)
        return 1 if self.n_atoms >= 256 else int(np.clip(256 // self.n_atoms, 2, 12))

    def _keep(self, X: Any, values: np.ndarray, learner: backend.Learner, penalty: float) -> None:
        utility = learner.utility() / learner.statistics.weight.clamp(min=1)
        order = torch.argsort(utility, descending=True, stable=True)
        self._atoms = learner.dictionary[order].double().cpu().numpy()
        self._atoms /= np.linalg.norm(self._atoms, axis=1, keepdims=True)
        self._offset = learner.offset.double().cpu().numpy()
        self.utility_ = utility[order].double().cpu().numpy()
        self.usage_ = learner.usage()[order].double().cpu().numpy()
        self.penalty_, self.objective_ = penalty, learner.objective
        self.mean_ = values.mean(0)
        self._publish(X)

    def _publish(self, X: Any) -> None:
        """The fitted arrays in units of the data, as the kind that came in."""
        raw = self._atoms / self._scale
        # Exactly 1 where units have no weights, so that codes are what the solver gave.
        self._norms = np.ones(len(raw)) if (self._scale == 1).all() else np.linalg.norm(raw, axis=1).clip(1e-300)
        units = None
        if isinstance(X, xr.DataArray):
            units = {str(name): X[name].variable for name in X.coords if X[name].dims == ("unit",)}
        self._label(units, isinstance(X, torch.Tensor), X.device if isinstance(X, torch.Tensor) else "cpu")

    def _label(self, units: dict[str, xr.Variable] | None, tensor: bool, device: Any = "cpu") -> None:
        atoms, offset = self._plain(), self._offset / self._scale
        self.dictionary_: Any = atoms
        self.offset_: Any = offset
        if units is not None:
            number = {"atom": np.arange(len(atoms))}
            self.dictionary_ = xr.DataArray(atoms, {**number, **units}, ("atom", "unit"), "dictionary")
            self.offset_ = xr.DataArray(offset, units, ("unit",), "offset")
        elif tensor:
            self.dictionary_, self.offset_ = (torch.from_numpy(value).to(device) for value in (atoms, offset))

    def _plain(self) -> np.ndarray:
        """Atoms of unit norm in units of the data."""
        return self._atoms / self._scale / self._norms[:, None]

    def _unit_names(self) -> np.ndarray:
        if isinstance(self.dictionary_, xr.DataArray) and "unit" in self.dictionary_.coords:
            return np.asarray(self.dictionary_["unit"].values)
        return np.arange(self._atoms.shape[1])
