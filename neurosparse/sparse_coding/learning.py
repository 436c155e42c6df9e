"""The dictionary learner as a scikit-learn estimator."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
import torch
import xarray as xr
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm import tqdm

from neurosparse.backend import dictionary as backend
from neurosparse.backend.inference import held_out_entries
from neurosparse.errors import ConvergenceWarning, InputError
from neurosparse.population import as_matrix, record
from neurosparse.sparse_coding import publishing, searching, storing, streaming
from neurosparse.sparse_coding.assessing import assess
from neurosparse.sparse_coding.checking import check_settings, say, unit_scale, warn_of_evidence
from neurosparse.sparse_coding.rows import label_codes
from neurosparse.sparse_coding.viewing import codes_of, labelled_samples, plain_atoms, seen


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
        Starts at the most; the lowest objective wins, and the search ends when a third of them, at least two, have
        found it. ``"auto"``: 256 / n_atoms, between 2 and 12 (1 from 256 atoms on).
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
    strict : bool
        Whether an `EvidenceWarning` is an `EvidenceError`: data that cannot carry the dictionary, and in `assess` one
        that is not told from a Gaussian's. What was fitted is kept.

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
    stability_, evidence_ : Dataset
        After `assess`: of `dictionary_stability` and `surrogate_test`.
    verdict_ : str
        After `assess`, what they say in a line; the repr ends with it.

    Notes
    -----
    Annealed from a high penalty in batches with a surplus of atoms that is then let go, dispensable atoms exchanged for
    directions of the residual and rolled back where that does not pay, settled by exact codes and exact
    block-coordinate updates on the sphere; see
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
        strict: bool = False,
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
        self.strict = strict

    # Fitted, in units of the weighted data; and how long each atom is in units of the data.
    _atoms: np.ndarray
    _offset: np.ndarray
    _scale: np.ndarray
    _norms: np.ndarray
    penalty_: float
    history_: list[backend.Step]
    evidence_: xr.Dataset
    verdict_: str

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
        EvidenceError
            Where there would be an EvidenceWarning, if `strict`.

        Warns
        -----
        EvidenceWarning
            If the samples cannot carry the dictionary; what is wrong is listed.
        DataWarning
            If units are constant or nearly so; they are named.
        ConvergenceWarning
            If the objective still fell at `max_iter`.
        """
        values, _ = self._samples(X, reset=True)
        check_settings(self, len(values))
        for name in ("stability_", "evidence_", "verdict_"):
            self.__dict__.pop(name, None)
        self._scale = unit_scale(self, values)
        self.nuisance_ = np.zeros((0, values.shape[1]))
        random = check_random_state(self.random_state)
        with tqdm(desc="dictionary", disable=not self.progress, unit="step") as bar:

            def show(step: backend.Step) -> None:
                bar.set_postfix({name: entry for name, entry in step.items() if name != "restart"}, refresh=False)
                bar.update()

            if self.n_nuisance:
                searching.find_nuisance(self, values, random, show)
            found, penalty = searching.learn(self, values, random, show)
        if not found.converged:
            warnings.warn(
                f"the objective still fell by more than tol = {self.tol:g} over five rounds after max_iter = "
                f"{self.max_iter} rounds. Raise max_iter.",
                ConvergenceWarning,
                stacklevel=2,
            )
        publishing.keep(self, X, values, found.learner, penalty)
        self.history_, self.n_iter_ = found.history, len(found.history)
        if self.loss == "poisson":
            searching.improve_counts(self, X, values)
        warn_of_evidence(self, X, values, publishing.unit_names(self), stacklevel=2)
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
            streaming.begin(self, values)
        learner = streaming.learn_on(self, values)
        publishing.keep(self, X, values, learner, float(self._penalties[-1]))
        self.mean_ = (learner.statistics.total / learner.statistics.weight).double().cpu().numpy() / self._scale
        self.n_iter_ = len(self.history_)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted dictionary as safetensors with a JSON header; `load` gives it back.

        A stream can not go on from the file: that is what `checkpoint` is for in a `fit`.
        """
        check_is_fitted(self)
        storing.write(path, *storing.of_learner(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> DictionaryLearning:
        """The dictionary that `save` wrote. No code is run from the file.

        Raises
        ------
        FileError
            If the file is missing, no safetensors, or holds something else.
        """
        arrays, header = storing.read(path, storing.KIND)
        learner = cls(**header["parameters"])
        storing.to_learner(learner, arrays, header)
        units = None if header["labels"] is None else storing.labels_from_json(header["labels"])
        publishing.label(learner, units, header["container"] == "torch")
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
        codes = codes_of(self, values)
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
            samples.values @ plain_atoms(self) + self._offset / self._scale,
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
        rows = seen(self, values)
        error = held_out_entries(rows - self._offset, self._atoms, self.penalty_, codes=self.codes)  # type: ignore[arg-type]
        total = np.square(rows - seen(self, self.mean_[None])).sum()
        return float(1 - error.sum() / total) if total > 0 else 0.0

    def assess(
        self,
        X: Any,
        *,
        n_fits: int = 5,
        n_surrogates: int = 19,
        groups: Any = None,
        random_state: Any = 0,
        progress: bool = False,
    ) -> DictionaryLearning:
        """Ask whether each atom comes back, and whether a Gaussian would have given as good a dictionary.

        Parameters
        ----------
        X : population, (sample, unit) array or tensor
            What was fitted.
        n_fits, groups
            As in `dictionary_stability`.
        n_surrogates : int
            As in `surrogate_test`.
        random_state : int, numpy.random.RandomState or None
        progress : bool

        Returns
        -------
        self
            With ``stability_``, ``evidence_`` and ``verdict_``, which the repr shows.

        Raises
        ------
        EvidenceError
            If the dictionary is not told from a Gaussian's, where the learner is strict.

        Warns
        -----
        EvidenceWarning
            Likewise, where it is not.
        """
        check_is_fitted(self)
        assess(self, X, n_fits, n_surrogates, groups, random_state, progress)
        if not bool(self.evidence_.told):
            say(self, f"{self.verdict_}. Do not read features into these atoms.", stacklevel=2)
        return self

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        said = getattr(self, "verdict_", "")
        return super().__repr__(N_CHAR_MAX=N_CHAR_MAX) + (f"\n# {said}" if said else "")

    @property
    def _n_features_out(self) -> int:
        return len(self._atoms)

    def _samples(self, X: Any, reset: bool) -> tuple[np.ndarray, Any]:
        """(sample, unit) numbers and, unless plain arrays come and go, the way back to labels."""
        if not isinstance(X, xr.DataArray | torch.Tensor) and self.nan == "raise":
            return validate_data(self, X, reset=reset, dtype=np.float64), None
        return labelled_samples(self, X, reset)
