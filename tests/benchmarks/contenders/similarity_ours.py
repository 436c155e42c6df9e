"""neurosparse on two codes of the same samples."""

from __future__ import annotations

import numpy as np
from contenders.similarity_shared import codes, facts


def cka(n: int, p: int):
    from neurosparse.backend.representational import debiased_cka, linear_kernel

    x, y = codes(n, p)
    debiased_cka(*(linear_kernel(side[:50]) for side in (x, y)))
    return (lambda: debiased_cka(linear_kernel(x), linear_kernel(y))), facts


def cca(n: int, p: int):
    from neurosparse.backend.representational import canonical_correlations

    x, y = codes(n, p)
    canonical_correlations(x[:50, :5], y[:50, :5])
    return (lambda: canonical_correlations(x, y)), facts


def shape(n: int, p: int):
    from neurosparse.backend.representational import shape_similarity

    x, y = codes(n, p)
    shape_similarity(x[:50, :5], y[:50, :5], 0.0)
    return (lambda: shape_similarity(x, y, 0.0)), facts


def ridge(n: int, p: int):
    from neurosparse.backend.linear import cross_validated_ridge, held_out_scores
    from neurosparse.backend.resampling import block_folds

    x, y = codes(n, p)
    folds = block_folds(n, 5)
    inner = [block_folds(len(train), 5) for train, _ in folds]
    penalties = np.logspace(-3, 3, 7)

    def work():
        found = cross_validated_ridge(x, y, folds, inner, penalties=penalties)
        return held_out_scores(found.mapped, found.baseline, y, found.fold)[1]

    return work, facts
