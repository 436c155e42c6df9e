"""The dictionary learner as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from numbers import Integral
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
from neurosparse.backend.inference import held_out_entries
from neurosparse.errors import ConvergenceWarning, DataWarning, EvidenceWarning, InputError
from neurosparse.population import as_matrix, record
from neurosparse.sparse_coding.coding import encode_rows, label_codes, same_units

CODE_TOL = 1e-6
CODE_STEPS = 100_000


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
    n_restarts : int or "auto"
        Starts at the most; the lowest objective wins, and the search ends when the two best agree. ``"auto"``:
        256 / n_atoms, between 2 and 10 (1 beyond 512 atoms).
    max_iter : int
        Rounds at the final penalty, at the most.
    tol : float
        Settled: over five rounds the objective fell by a smaller share.
    device : {"auto", "cpu", "cuda"} or torch.device
    random_state : int, numpy.random.RandomState or None
    nan : {"raise", "drop"}
        Whether a sample with NaN is an error, or is left out of the fit and gets codes of NaN.
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
        Of the winning start, by round: ``stage``, ``penalty``, ``objective``, ``n_active``. At one penalty the
        objective never rises.
    objective_ : float
    mean_ : (unit,) array
        Of the samples fitted; the baseline of `score`.
    n_iter_ : int
        Rounds of the winning start.
    n_features_in_ : int
        Units.

    Notes
    -----
    Annealed from a high penalty, exact codes, exact block-coordinate updates on the sphere, dispensable atoms exchanged
    for directions of the residual and rolled back where that does not pay; see `backend.dictionary`. A fit of 2,400
    samples, 32 units and 64 atoms takes 2 to 4 s on one CPU thread. Same random state, same result on one device.
    Not here: streams, count likelihoods, nuisance terms, masks.

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
        n_restarts: int | str = "auto",
        max_iter: int = 500,
        tol: float = 1e-5,
        device: Any = "auto",
        random_state: Any = None,
        nan: str = "raise",
        progress: bool = False,
    ) -> None:
        self.n_atoms = n_atoms
        self.penalty = penalty
        self.codes = codes
        self.atoms = atoms
        self.offset = offset
        self.n_restarts = n_restarts
        self.max_iter = max_iter
        self.tol = tol
        self.device = device
        self.random_state = random_state
        self.nan = nan
        self.progress = progress

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
        self._check(values)
        place = resolve_device(self.device)
        x = torch.from_numpy(np.array(values, order="C"))
        x = x.to(place, torch.float64 if place.type == "cpu" else torch.float32)
        random = check_random_state(self.random_state)
        settings = backend.Settings(
            codes=self.codes,  # type: ignore[arg-type]
            atoms=self.atoms,  # type: ignore[arg-type]
            offset=self.offset,
            max_iter=self.max_iter,
            tol=self.tol,
        )
        with tqdm(desc="dictionary", disable=not self.progress, unit="round") as bar:

            def show(step: backend.Step) -> None:
                bar.set_postfix({name: entry for name, entry in step.items() if name != "restart"}, refresh=False)
                bar.update()

            penalty = self._penalty(x, settings, random, show)
            found = backend.fit(
                x, self.n_atoms, penalty, settings, n_restarts=self._restarts(), random_state=random, on_step=show
            )
        if not found.converged:
            warnings.warn(
                f"the objective still fell by more than tol = {self.tol:g} over five rounds after max_iter = "
                f"{self.max_iter} rounds. Raise max_iter.",
                ConvergenceWarning,
                stacklevel=2,
            )
        self._keep(X, values, found, penalty)
        self._warn_of_evidence(values)
        return self

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
        found = encode_rows(
            values - self._offset,
            self._atoms,
            self.penalty_,
            codes=self.codes,  # type: ignore[arg-type]
            tol=CODE_TOL if resolve_device(self.device).type == "cpu" else 1e-4,
            max_iter=CODE_STEPS,
            device=self.device,
        )
        if samples is None:
            return found.codes
        labelled = label_codes(samples, found.codes)
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
            samples.values @ self._atoms + self._offset, coords=None if units is None else {"unit": units}
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
        error = held_out_entries(values - self._offset, self._atoms, self.penalty_, codes=self.codes)  # type: ignore[arg-type]
        total = np.square(values - self.mean_).sum()
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

    def _check(self, values: np.ndarray) -> None:
        if not isinstance(self.n_atoms, Integral) or self.n_atoms < 1:
            raise InputError(f"n_atoms must be a whole number of at least 1; got {self.n_atoms!r}.")
        if self.atoms not in ("signed", "nonnegative"):
            raise InputError(f"atoms must be 'signed' or 'nonnegative'; got {self.atoms!r}.")
        if self.codes not in ("nonnegative", "signed"):
            raise InputError(f"codes must be 'nonnegative' or 'signed'; got {self.codes!r}.")
        if not (self.n_restarts == "auto" or (isinstance(self.n_restarts, Integral) and self.n_restarts >= 1)):
            raise InputError(f"n_restarts must be 'auto' or at least 1; got {self.n_restarts!r}.")
        if len(values) < 2:
            raise InputError(f"a dictionary needs samples that differ: at least 2, got {len(values)} sample.")
        if len(values) < self.n_atoms:
            raise InputError(
                f"n_atoms = {self.n_atoms} exceeds n_samples = {len(values)}: each sample could be its own atom. Use "
                f"at most {max(1, len(values) // 30)} atoms (30 samples an atom), or more samples."
            )

    def _penalty(self, x: torch.Tensor, settings: backend.Settings, random: Any, show: backend.OnStep) -> float:
        self.penalty_path_ = None
        if self.penalty != "auto":
            if isinstance(self.penalty, str) or not (np.isfinite(self.penalty) and self.penalty > 0):
                raise InputError(f"penalty must be 'auto' or a number above 0; got {self.penalty!r}.")
            return float(self.penalty)
        path = backend.choose_penalty(x, self.n_atoms, settings, random_state=random, on_step=show)
        self.penalty_path_ = {
            "penalty": path.penalties,
            "held_out_error": path.error,
            "standard_error": path.standard_error,
        }
        return path.penalty

    def _restarts(self) -> int:
        if self.n_restarts != "auto":
            return int(self.n_restarts)
        return 1 if self.n_atoms > 512 else int(np.clip(256 // self.n_atoms, 2, 10))

    def _keep(self, X: Any, values: np.ndarray, found: backend.Fit, penalty: float) -> None:
        learner = found.learner
        utility = learner.utility() / len(values)
        order = torch.argsort(utility, descending=True, stable=True)
        self._atoms = learner.dictionary[order].double().cpu().numpy()
        self._atoms /= np.linalg.norm(self._atoms, axis=1, keepdims=True)
        self._offset = learner.offset.double().cpu().numpy()
        self.dictionary_: Any = self._atoms
        self.offset_: Any = self._offset
        if isinstance(X, xr.DataArray):
            units = {name: X[name].variable for name in X.coords if X[name].dims == ("unit",)}
            atoms = {"atom": np.arange(len(self._atoms))}
            self.dictionary_ = xr.DataArray(self._atoms, {**atoms, **units}, ("atom", "unit"), "dictionary")
            self.offset_ = xr.DataArray(self._offset, units, ("unit",), "offset")
        elif isinstance(X, torch.Tensor):
            self.dictionary_, self.offset_ = (torch.from_numpy(v).to(X.device) for v in (self._atoms, self._offset))
        self.utility_ = utility[order].double().cpu().numpy()
        self.usage_ = learner.usage()[order].double().cpu().numpy()
        self.penalty_, self.objective_, self.history_ = penalty, learner.objective, found.history
        self.mean_ = values.mean(0)
        self.n_iter_ = len(found.history)

    def _warn_of_evidence(self, values: np.ndarray) -> None:
        n_samples, n_units = values.shape
        silent = np.flatnonzero(np.ptp(values, axis=0) == 0)
        if len(silent):
            names = (
                self.dictionary_["unit"].values if isinstance(self.dictionary_, xr.DataArray) else np.arange(n_units)
            )
            shown = ", ".join(str(names[unit]) for unit in silent[:5]) + (", ..." if len(silent) > 5 else "")
            warnings.warn(
                f"{len(silent)} of {n_units} units are constant and tell nothing: {shown}.", DataWarning, stacklevel=3
            )
        events = n_samples * self.usage_.sum() / self.n_atoms
        single = int((np.abs(self._atoms).max(1) > 0.8).sum()) if n_units > 1 else 0
        dense = int((self.usage_ > 0.5).sum())
        found = [
            (events < 30, f"{events:.0f} active samples an atom are fewer than 30"),
            (self.n_atoms > n_units, f"{self.n_atoms} atoms exceed {n_units} units"),
            (single > 0, f"{single} atoms are a single unit (> .8 of their norm)"),
            (dense > 0, f"{dense} atoms are active in more than half of the samples"),
        ]
        problems = [text for is_so, text in found if is_so]
        if problems:
            warnings.warn(
                f"these data may not carry this dictionary: {'; '.join(problems)}. Run surrogate_test on them first.",
                EvidenceWarning,
                stacklevel=3,
            )
