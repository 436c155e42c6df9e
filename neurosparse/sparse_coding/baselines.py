"""Other dictionaries under the learner's face: PCA, ICA, NMF, k-means, random directions, the units themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import nnls
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from neurosparse.backend.baselines import fit_baseline
from neurosparse.sparse_coding import publishing
from neurosparse.sparse_coding.rows import encode_rows, label_codes
from neurosparse.sparse_coding.viewing import responses_of, samples_of


class Baseline(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A dictionary that was not learned for sparse codes, to stand beside one that was.

    Parameters
    ----------
    name : {"pca", "ica", "nmf", "kmeans", "random", "units"}
        ``"nmf"``: of each unit above its least. ``"kmeans"``: centroids of samples of unit length, from their mean.
        ``"random"``: directions drawn uniformly from the sphere. ``"units"``: each unit by itself.
    n_atoms : int, optional
        Default: as many as units. PCA, ICA and NMF have no more than units and samples.
    penalty : float, optional
        Of sparse codes with the same solver as the learner's, so that dictionaries alone differ. Default: the method's
        own codes, which are projections, sources, or for NMF non-negative least squares.
    codes : {"nonnegative", "signed"}
        Of sparse codes.
    random_state : int, numpy.random.RandomState or None
    nan : {"raise", "drop"}

    Attributes
    ----------
    dictionary_ : (atom, unit)
        Unit norm; of the kind of the data.
    offset_ : (unit,)
    n_features_in_ : int

    Notes
    -----
    scikit-learn does the work; where it stops short of its tolerance it is not warned of: a control need not be at its
    optimum. Not here: `partial_fit`, files.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((100, 5)) * [9, 3, 1, 1, 1]
    >>> np.abs(Baseline("pca", 2).fit(x).dictionary_).argmax(axis=1)
    array([0, 1])
    """

    def __init__(
        self,
        name: str = "pca",
        n_atoms: int | None = None,
        *,
        penalty: float | None = None,
        codes: str = "nonnegative",
        random_state: Any = None,
        nan: str = "raise",
    ) -> None:
        self.name = name
        self.n_atoms = n_atoms
        self.penalty = penalty
        self.codes = codes
        self.random_state = random_state
        self.nan = nan

    # As in `DictionaryLearning`, for `publishing`: no unit has a weight here.
    _atoms: np.ndarray
    _offset: np.ndarray
    _scale: np.ndarray
    _norms: np.ndarray
    dictionary_: Any

    def fit(self, X: Any, y: Any = None) -> Baseline:
        """Find the directions.

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
            If there is no such baseline, or it has not so many atoms.
        """
        values, _ = samples_of(self, X, reset=True)
        n_atoms = min(values.shape[1], len(values)) if self.n_atoms is None and self.name != "units" else self.n_atoms
        found = fit_baseline(self.name, values, n_atoms or values.shape[1], random_state=self.random_state)
        self._atoms, self._offset, self._encoder = found.dictionary, found.offset, found.encoder
        self._scale = np.ones(values.shape[1])
        publishing.publish(self, X)
        return self

    def transform(self, X: Any) -> Any:
        """Codes of samples, of the kind of `X` with last dim ``atom``."""
        check_is_fitted(self)
        values, samples = samples_of(self, X, reset=False)
        codes = self._encode(values - self._offset)
        return codes if samples is None else label_codes(samples, codes, baseline=self.name)

    def inverse_transform(self, X: Any) -> Any:
        """Responses of codes, ``offset + z D``; of the kind of `X` with last dim ``unit``."""
        return responses_of(self, X)

    def _encode(self, rows: np.ndarray) -> np.ndarray:
        if self.penalty is not None:
            found = encode_rows(
                rows,
                self._atoms,
                self.penalty,
                codes=self.codes,  # type: ignore[arg-type]
                tol=1e-6,
                max_iter=100_000,
                device="cpu",
            )
            return np.asarray(found.codes)
        if self._encoder is None:
            return np.array([nnls(self._atoms.T, row)[0] for row in rows])
        return np.asarray(rows @ self._encoder.T)

    @property
    def _n_features_out(self) -> int:
        return len(self._atoms)
