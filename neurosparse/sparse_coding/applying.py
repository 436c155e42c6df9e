"""What a learned dictionary is used for: codes, scores, files, and what it is worth as evidence."""

from __future__ import annotations

import os
from typing import Any, Self

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from neurosparse.backend.inference import held_out_entries
from neurosparse.population import record
from neurosparse.sparse_coding import publishing, storing
from neurosparse.sparse_coding.assessing import assess
from neurosparse.sparse_coding.checking import say
from neurosparse.sparse_coding.rows import label_codes
from neurosparse.sparse_coding.tracking import followed
from neurosparse.sparse_coding.viewing import codes_of, responses_of, samples_of, seen


class LearnedDictionary(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """The half of `DictionaryLearning` that only looks at what was fitted."""

    codes: str
    loss_: str
    atoms_: str
    penalty_: float
    mean_: np.ndarray
    evidence_: xr.Dataset
    verdict_: str
    # In units of the weighted data; and how long each atom is in units of the data.
    _atoms: np.ndarray
    _offset: np.ndarray
    _scale: np.ndarray
    _norms: np.ndarray

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
        values, samples = samples_of(self, X, reset=False)
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
        return responses_of(self, X)

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
        values, _ = samples_of(self, X, reset=False)
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
    ) -> Self:
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
            If the dictionary is not told from a Gaussian's, or atoms follow the order of trials or time, or a coord of
            speed or motion, where the learner is strict.

        Warns
        -----
        EvidenceWarning
            Likewise, where it is not.
        """
        check_is_fitted(self)
        assess(self, X, n_fits, n_surrogates, groups, random_state, progress)
        values, samples = samples_of(self, X, reset=False)
        kept = np.ones(len(values), dtype=bool) if samples is None else samples.kept
        following = followed(codes_of(self, values), X, kept)
        if not bool(self.evidence_.told):
            say(self, f"{self.verdict_}. Do not read features into these atoms.", stacklevel=2)
        if following:
            say(
                self,
                f"{'; '.join(following)} (rank correlation of .5 or more): a drift or a state of the animal may be all "
                "that they are. Look at them apart, or take it out first (n_nuisance).",
                stacklevel=2,
            )
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted dictionary as safetensors with a JSON header; `load` gives it back.

        A stream can not go on from the file: that is what `checkpoint` is for in a `fit`.
        """
        check_is_fitted(self)
        storing.write(path, *storing.of_learner(self))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
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

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        said = getattr(self, "verdict_", "")
        return super().__repr__(N_CHAR_MAX=N_CHAR_MAX) + (f"\n# {said}" if said else "")

    @property
    def _n_features_out(self) -> int:
        return len(self._atoms)
