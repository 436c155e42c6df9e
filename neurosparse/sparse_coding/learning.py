"""The dictionary learner as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from tqdm import tqdm

from neurosparse.backend import dictionary as backend
from neurosparse.errors import ConvergenceWarning, InputError
from neurosparse.sparse_coding import publishing, searching, streaming
from neurosparse.sparse_coding.applying import LearnedDictionary
from neurosparse.sparse_coding.checking import check_settings, choose_loss, unit_scale, warn_of_evidence
from neurosparse.sparse_coding.viewing import samples_of


class DictionaryLearning(LearnedDictionary):
    """Learn the dictionary that makes samples sparse.

    ``min over D, b, z of 1 / n sum_i 1/2 ||x_i - b - z_i D||^2 + penalty |z_i|_1`` with atoms (rows of D) of unit norm,
    b the offset, z the codes. More atoms than units are allowed: the code may be in superposition.

    Parameters
    ----------
    n_atoms : int
        At most the number of samples; 30 samples or more an atom are wanted. With too many, the last ones (atoms are
        sorted by utility) are used less and can be left out.
    penalty : float or "auto"
        In units of the data. ``"auto"`` takes the largest whose dictionary, learned from nine tenths of the samples
        (four fifths of fewer than 500), foretells hidden entries of the others within one standard error of the
        best (the best itself where there are fewer than six samples an atom, or where noise is so much that it
        lies above the usual range, as five such tests together tell): no label, no sparsity is given.
    codes : {"nonnegative", "signed"}
    atoms : {"auto", "signed", "nonnegative"}
        Signed for centred or scaled responses; non-negative where a feature can only add, as in raw counts, which is
        what ``"auto"`` takes for those alone.
    offset : bool
        Whether an offset is learned, rather than 0.
    loss : {"auto", "squared", "poisson", "sqrt"}
        ``"auto"``: ``"poisson"`` for a population of spike counts, whole numbers (beyond 10^9 samples x units x atoms,
        and in a stream, ``"squared"`` with weights 1 / mean, which is quicker), ``"squared"`` for all else.
        ``"poisson"``: for raw counts, an identity link, under which features add; needs non-negative atoms and codes.
        The dictionary of the squared loss with weights 1 / mean is improved in the likelihood, and where counts are
        whole and at most 5 on average, it becomes the mean of all that may have made them (Gibbs sampling; what
        samples cannot tell apart comes out alike). ``"sqrt"``: the squared loss of the square root of counts;
        descriptive, since it breaks additivity.
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
        Settled: in two rounds the objective fell by less than two fifths of this share.
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
    loss_, atoms_ : str
        What ``"auto"`` chose.
    penalty_ : float
    penalty_path_ : dict of arrays or None
        ``penalty``, ``held_out_error`` and ``standard_error`` of the levels tried by ``"auto"``.
    utility_ : (atom,) array
        What the objective would lose without the atom, a sample.
    usage_ : (atom,) array
        Share of samples in which the atom is active.
    history_ : list of dict
        Of the winning start: ``stage``, ``penalty``, ``objective`` (of the batch while annealing), ``n_active``,
        ``replaced``. While settling the objective never rises; it may where counts are averaged, which it does not
        judge.
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
    Annealed from a high penalty in batches, each level held while it pays, with a surplus of atoms that is then let go;
    dispensable atoms exchanged for directions of the residual and rolled back where that does not pay; settled by exact
    codes and exact block-coordinate updates on the sphere; see `backend.dictionary`. The choice of the penalty anneals
    the first start. A fit of 2,400 samples, 32 units and 64 atoms takes 2 to 4 s on one CPU thread. Same random
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
        atoms: str = "auto",
        offset: bool = True,
        loss: str = "auto",
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
        values, _ = samples_of(self, X, reset=True)
        check_settings(self, len(values))
        for name in ("stability_", "evidence_", "verdict_"):
            self.__dict__.pop(name, None)
        choose_loss(self, X, values)
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
        if self.loss_ == "poisson":
            searching.improve_counts(self, X, values, random)
        warn_of_evidence(self, X, values, publishing.unit_names(self), stacklevel=2)
        return self

    def partial_fit(self, X: Any, y: Any = None) -> DictionaryLearning:
        """Learn on from the next samples of a stream; what was learned from the first ones fades.

        Samples are taken in the order given, in batches of 2 n_atoms (at least 256), each one step of annealing and
        then of refinement at the final penalty. There are no restarts, no surplus and no replacement, so that
        atoms may be missed, and ``"auto"`` takes the penalty from the first call's samples.

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
        values, _ = samples_of(self, X, reset=first)
        check_settings(self, len(values) if first else 2, stream=True)
        if self.loss == "poisson" or self.n_nuisance:
            raise InputError("partial_fit has no loss='poisson' and no nuisance dimensions: they need fit.")
        if first:
            choose_loss(self, X, values, stream=True)
            streaming.begin(self, values)
        learner = streaming.learn_on(self, values)
        publishing.keep(self, X, values, learner, float(self._penalties[-1]))
        self.mean_ = (learner.statistics.total / learner.statistics.weight).double().cpu().numpy() / self._scale
        self.n_iter_ = len(self.history_)
        return self
