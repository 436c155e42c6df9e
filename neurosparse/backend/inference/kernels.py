"""The compiled steps of coordinate descent on one row: pick candidates, descend among them, leap, certify.

A row's problem ``1/2 ||x - z D||^2 + sum_j penalty_j |z_j|`` is solved on a few candidate atoms of unit norm with a
small Gram matrix of their own, whose rows are made when an atom first moves. All functions release the GIL.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

compiled: Any = njit(cache=True, fastmath=True, error_model="numpy", nogil=True)

# A row that has made so many steps per active code since its last leap leaps again.
PATIENCE = 60
# Leaps are for at most so many active codes: they cost their cube.
MAX_LEAP = 256
# Tolerated move, as a share of the penalty, per unit of tolerated gap; asked for less where the gap is not met.
FIRST_MOVE = 3.0
LESS = 0.3
# Candidates to begin with; half as many are added at least when others turn out to exceed their penalty.
FIRST_WANT = 64


class Local(NamedTuple):
    """One row's candidates (size entries are in use), and the room to solve among them.

    ``share`` and ``bits`` are the same memory: non-negative floats order as integers do, and integer maxima vectorise.
    """

    atom: np.ndarray  # (candidate,) int32
    place: np.ndarray  # (atom,) int32: the candidate that an atom is, or -1
    z: np.ndarray  # (candidate,)
    slope: np.ndarray  # (candidate,) d_j . r
    penalty: np.ndarray  # (candidate,)
    rate: np.ndarray  # (candidate,) 1 / penalty
    norm: np.ndarray  # (candidate,) of the atom where the row is observed
    share: np.ndarray  # (candidate or atom,)
    bits: np.ndarray
    slot: np.ndarray  # (candidate,) int32: row of `gram`, or -1
    gram: np.ndarray  # (slot, candidate)
    ratio: np.ndarray  # (atom,) slope over penalty
    ratio_bits: np.ndarray
    peek: np.ndarray  # (1,)
    peek_bits: np.ndarray
    support: np.ndarray  # (MAX_LEAP,) int64
    factor: np.ndarray  # (MAX_LEAP, MAX_LEAP)
    aims: np.ndarray  # (MAX_LEAP,)
    seen: np.ndarray  # (unit,) an atom where the row is observed


def make_local(n_atoms: int, n_units: int, capacity: int, dtype: np.dtype, gram: np.ndarray | None = None) -> Local:
    """Room for one thread. With `gram`, all atoms are candidates and it is their Gram matrix."""
    whole = gram is not None
    index = np.arange(n_atoms, dtype=np.int32)
    bits = np.int32 if dtype == np.float32 else np.int64
    share, ratio, peek = np.zeros(capacity, dtype), np.zeros(n_atoms, dtype), np.zeros(1, dtype)
    return Local(
        atom=index.copy() if whole else np.zeros(capacity, np.int32),
        place=index.copy() if whole else np.full(n_atoms, -1, np.int32),
        z=np.zeros(capacity, dtype),
        slope=np.zeros(capacity, dtype),
        penalty=np.ones(capacity, dtype),
        rate=np.ones(capacity, dtype),
        norm=np.ones(capacity, dtype),
        share=share,
        bits=share.view(bits),
        slot=index.copy() if whole else np.full(capacity, -1, np.int32),
        gram=np.empty((capacity, capacity), dtype) if gram is None else gram,
        ratio=ratio,
        ratio_bits=ratio.view(bits),
        peek=peek,
        peek_bits=peek.view(bits),
        support=np.zeros(MAX_LEAP, np.int64),
        factor=np.empty((MAX_LEAP, MAX_LEAP), dtype),
        aims=np.zeros(MAX_LEAP, dtype),
        seen=np.zeros(n_units, dtype),
    )


@compiled
def _shares(local: Local, size: int, nonnegative: bool) -> None:  # pragma: no cover (compiled)
    """How far each candidate would move, as a share of its penalty."""
    z, slope, penalty, rate, share = local.z, local.slope, local.penalty, local.rate, local.share
    if nonnegative:
        for p in range(size):
            up, down = slope[p] - penalty[p], -z[p]
            share[p] = abs(up if up > down else down) * rate[p]
    else:
        for p in range(size):
            aim = z[p] + slope[p]
            over, under = aim - penalty[p], aim + penalty[p]
            share[p] = abs((over if over > 0 else 0 * over) + (under if under < 0 else 0 * under) - z[p]) * rate[p]


@compiled
def _greatest(bits: np.ndarray, size: int, low: int) -> int:  # pragma: no cover (compiled)
    """Where the greatest share is, up to the low bits that make room for the index."""
    top = bits[0] & ~low
    for p in range(size):
        key = (bits[p] & ~low) | p
        top = key if key > top else top
    return top & low


@compiled
def _next(share: np.ndarray, size: int, last: int, threshold: float) -> int:  # pragma: no cover (compiled)
    """The first candidate after `last`, around the circle, that would move by more than the threshold."""
    for p in range(last + 1, size):
        if share[p] > threshold:
            return p
    for p in range(last + 1):
        if share[p] > threshold:
            return p
    return last


@compiled
def _fill(
    local: Local, p: int, start: int, size: int, gram: np.ndarray, atoms: np.ndarray, observed: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """The local Gram's row of candidate p, its columns from start to size: looked up, or from the atoms themselves."""
    row = local.gram[local.slot[p]]
    j = local.atom[p]
    if len(gram) > 0:
        known = gram[j]
        for q in range(start, size):
            row[q] = known[local.atom[q]]
        return
    n_units = atoms.shape[1]
    seen = local.seen
    for u in range(n_units):
        seen[u] = atoms[j, u]
    if len(observed) > 0:
        for u in range(n_units):
            seen[u] *= observed[u]
    for q in range(start, size):
        other = atoms[local.atom[q]]
        value = 0 * seen[0]
        for u in range(n_units):
            value += seen[u] * other[u]
        row[q] = value / (local.norm[p] * local.norm[q])


@compiled
def _descend(
    local: Local,
    size: int,
    n_slots: int,
    nonnegative: bool,
    greedy: bool,
    threshold: float,
    steps: int,
    gram: np.ndarray,
    atoms: np.ndarray,
    observed: np.ndarray,
) -> tuple[int, int]:  # pragma: no cover (compiled)
    """Move one candidate at a time until none would move by more than the threshold; steps made, slots in use."""
    z, slope, penalty, rate, share = local.z, local.slope, local.penalty, local.rate, local.share
    low = 1
    while low < size:
        low *= 2
    low -= 1
    _shares(local, size, nonnegative)
    best, step, since, active = size - 1, 0, 0, 0
    while step < steps:
        best = _greatest(local.bits, size, low) if greedy else _next(share, size, best, threshold)
        if share[best] <= threshold:
            break
        before = z[best]
        aim = before + slope[best]
        under = 0 * aim if nonnegative else min(aim + penalty[best], 0 * aim)
        z[best] = max(aim - penalty[best], 0 * aim) + under
        move = z[best] - before
        active += (z[best] != 0) - (before != 0)
        if local.slot[best] < 0:
            local.slot[best] = n_slots
            n_slots += 1
            _fill(local, best, 0, size, gram, atoms, observed)
        row = local.gram[local.slot[best]]
        if nonnegative:
            for q in range(size):
                s = slope[q] - move * row[q]
                slope[q] = s
                up, down = s - penalty[q], -z[q]
                share[q] = abs(up if up > down else down) * rate[q]
        else:
            for q in range(size):
                slope[q] -= move * row[q]
            _shares(local, size, nonnegative)
        step += 1
        since += 1
        if since >= PATIENCE and since >= active:
            since = 0
            blocked = True
            while blocked:
                active, blocked = _leap(local, size)
            _shares(local, size, nonnegative)
    return step, n_slots


@compiled
def _leap(local: Local, size: int) -> tuple[int, bool]:  # pragma: no cover (compiled)
    """Go to the optimum over the active codes with their signs as they are, or as far as the first sign would change.

    Where active atoms are alike, coordinate steps creep; along this line the objective falls all the way. Returns the
    number of active codes, and whether a sign stood in the way: then another leap leads on.
    """
    z, slope, support, factor, aims = local.z, local.slope, local.support, local.factor, local.aims
    n = 0
    for p in range(size):
        if z[p] != 0:
            if n < MAX_LEAP:
                support[n] = p
            n += 1
    if n > MAX_LEAP:
        return n, False
    active = n
    full = n
    for a in range(n):  # Cholesky
        row = local.gram[local.slot[support[a]]]
        for b in range(a):
            value = row[support[b]]
            for c in range(b):
                value -= factor[a, c] * factor[b, c]
            factor[a, b] = value / factor[b, b]
        value = row[support[a]]
        for c in range(a):
            value -= factor[a, c] * factor[a, c]
        if value < 1e-6:  # this atom is a sum of those before: along that sum the fit stays and the penalty falls
            full = a
            break
        factor[a, a] = np.sqrt(value)
    if full < n:
        n = full + 1
        for a in range(full):
            aims[a] = -factor[full, a]
        aims[full] = 1
    else:
        for a in range(n):  # G (aim - z) = slope - penalty sign, so only the change is solved for
            p = support[a]
            value = slope[p] - (local.penalty[p] if z[p] > 0 else -local.penalty[p])
            for c in range(a):
                value -= factor[a, c] * aims[c]
            aims[a] = value / factor[a, a]
    for a in range(full - 1, -1, -1):
        value = aims[a]
        for c in range(a + 1, full):
            value -= factor[c, a] * aims[c]
        aims[a] = value / factor[a, a]
    part = 1.0
    if full < n:
        part = 1e30
        rise = 0.0
        for a in range(n):
            p = support[a]
            rise += aims[a] * ((local.penalty[p] if z[p] > 0 else -local.penalty[p]) - slope[p])
        if rise > 0:
            for a in range(n):
                aims[a] = -aims[a]
    blocker = -1
    for a in range(n):
        now = z[support[a]]
        if now * (now + part * aims[a]) <= 0 and -now / aims[a] < part:
            part = -now / aims[a]
            blocker = a
    if full < n and blocker < 0:
        return active, False
    for a in range(n):
        p = support[a]
        move = part * aims[a]
        if a == blocker or z[p] * (z[p] + move) <= 0:  # the latter by rounding
            move = -z[p]
            z[p] = 0
        else:
            z[p] += move
        row = local.gram[local.slot[p]]
        for q in range(size):
            slope[q] -= move * row[q]
    return active - (blocker >= 0), blocker >= 0


@compiled
def _ratios(
    slopes: np.ndarray, rate: np.ndarray, nonnegative: bool, local: Local
) -> float:  # pragma: no cover (compiled)
    """Slope over penalty of every atom, at least 0; returns the greatest."""
    ratio, bits = local.ratio, local.ratio_bits
    n_atoms = len(rate)
    if nonnegative:
        for j in range(n_atoms):
            s = slopes[j] * rate[j]
            ratio[j] = s if s > 0 else 0 * s
    else:
        for j in range(n_atoms):
            ratio[j] = abs(slopes[j] * rate[j])
    top = bits[0]
    for j in range(n_atoms):
        top = bits[j] if bits[j] > top else top
    local.peek_bits[0] = top
    return local.peek[0]


@compiled
def _pick(local: Local, greatest: float, want: int, size: int) -> int:  # pragma: no cover (compiled)
    """Add the atoms whose slope most exceeds their penalty to the candidates, about `want`; the new size."""
    ratio, atom, place = local.ratio, local.atom, local.place
    n_atoms = len(ratio)
    lowest = 1 + 0 * ratio[0]
    threshold, above = lowest, lowest * greatest
    for _ in range(8):
        count = 0
        for j in range(n_atoms):
            count += 1 if ratio[j] > threshold else 0
        if threshold == lowest and count <= want:
            break
        if count > want:
            lowest = threshold
        else:
            above = threshold
            if 2 * count > want:
                break
        threshold = (lowest + above) / 2
    capacity = len(atom)
    start = 0
    while start < n_atoms:
        stop = min(start + 16, n_atoms)
        count = 0
        for j in range(start, stop):
            count += 1 if ratio[j] > threshold else 0
        if count > 0:
            for j in range(start, stop):
                if ratio[j] > threshold and place[j] < 0 and size < capacity:
                    atom[size] = j
                    local.z[size] = 0
                    place[j] = size
                    size += 1
        start = stop
    return size


@compiled
def _room(
    local: Local, size: int, gram: np.ndarray, atoms: np.ndarray, observed: np.ndarray
) -> tuple[int, int]:  # pragma: no cover (compiled)
    """Let go of the candidates at zero; what is left, and the slots it takes."""
    kept = 0
    for p in range(size):
        j = local.atom[p]
        if local.z[p] != 0:
            local.atom[kept], local.z[kept], local.slope[kept] = j, local.z[p], local.slope[p]
            local.penalty[kept], local.rate[kept] = local.penalty[p], local.rate[p]
            local.norm[kept] = local.norm[p]
            local.place[j] = kept
            kept += 1
        else:
            local.place[j] = -1
    for p in range(size):
        local.slot[p] = p if p < kept else -1
    for p in range(kept):
        _fill(local, p, 0, kept, gram, atoms, observed)
    return kept, kept


@compiled
def _verdict(
    squared: float, inner: float, left: float, size: float, greatest: float
) -> tuple[float, float]:  # pragma: no cover (compiled)
    """Objective and relative duality gap, from ``||x||^2``, ``r . x``, ``||r||^2``, penalty and greatest ratio."""
    scale = 1 / max(greatest, 1.0)
    value = 0.5 * left + size
    excess = value - (scale * inner - 0.5 * scale * scale * left)
    return value, (2 * max(excess, 0.0) / squared if squared > 0 else value)


@compiled
def solve_whole(
    correlation: np.ndarray,
    squared: np.ndarray,
    local: Local,
    nonnegative: bool,
    greedy: bool,
    warm: bool,
    tol: float,
    max_iter: int,
    finest: float,
    codes: np.ndarray,
    value: np.ndarray,
    gap: np.ndarray,
    kkt: np.ndarray,
    iterations: np.ndarray,
) -> None:  # pragma: no cover (compiled)
    """Rows whose candidates are all atoms; `local` holds the whole Gram matrix. The last five are written in place."""
    n_samples, n_atoms = correlation.shape
    none = np.empty((0, 0), correlation.dtype)
    observed = np.empty(0, correlation.dtype)
    z, slope, penalty = local.z, local.slope, local.penalty
    for i in range(n_samples):
        c = correlation[i]
        for j in range(n_atoms):
            z[j] = codes[i, j]
            slope[j] = c[j]
        if warm:
            for j in range(n_atoms):
                if z[j] != 0:
                    row = local.gram[j]
                    for l in range(n_atoms):
                        slope[l] -= z[j] * row[l]
        threshold = FIRST_MOVE * tol
        steps = 0
        while True:
            made, _ = _descend(
                local, n_atoms, n_atoms, nonnegative, greedy, threshold, max_iter - steps, none, none, observed
            )
            steps += made
            greatest = _ratios(slope, local.rate, nonnegative, local)
            fit, left, size = 0.0, 0.0, 0.0
            for j in range(n_atoms):
                fit += c[j] * z[j]
                left += slope[j] * z[j]
                size += penalty[j] * abs(z[j])
            value[i], gap[i] = _verdict(squared[i], squared[i] - fit, max(squared[i] - fit - left, 0.0), size, greatest)
            if gap[i] <= tol or steps >= max_iter or threshold < finest:
                break
            threshold *= LESS
        iterations[i] = steps
        kkt[i] = greatest - 1
        for j in range(n_atoms):
            codes[i, j] = z[j]
            if z[j] != 0:
                kkt[i] = max(kkt[i], abs(slope[j] * local.rate[j] - np.sign(z[j])))


@compiled
def solve_cached(
    correlation: np.ndarray,
    squared: np.ndarray,
    gram: np.ndarray,
    penalty: np.ndarray,
    rate: np.ndarray,
    local: Local,
    nonnegative: bool,
    greedy: bool,
    tol: float,
    max_iter: int,
    finest: float,
    index: np.ndarray,
    codes: np.ndarray,
    count: np.ndarray,
    value: np.ndarray,
    gap: np.ndarray,
    kkt: np.ndarray,
    iterations: np.ndarray,
) -> None:  # pragma: no cover (compiled)
    """Rows with few candidates at a time, slopes of all atoms from the Gram rows of the active ones.

    `index`, `codes` (sample, candidate) and `count` hold the active codes to start from, and then those found.
    """
    n_samples, n_atoms = correlation.shape
    capacity = len(local.atom)
    atoms = np.empty((0, 0), correlation.dtype)
    observed = np.empty(0, correlation.dtype)
    slopes = np.empty(n_atoms, correlation.dtype)
    for i in range(n_samples):
        c = correlation[i]
        size = _enter(local, index[i], codes[i], count[i])
        n_slots, known, steps, made, want = 0, 0, 0, 1, FIRST_WANT
        threshold = FIRST_MOVE * tol
        while True:
            _slopes(c, gram, local, size, slopes)
            greatest = _ratios(slopes, rate, nonnegative, local)
            fit, left, total, worst = 0.0, 0.0, 0.0, 0.0
            for p in range(size):
                j = local.atom[p]
                if local.z[p] != 0:
                    fit += c[j] * local.z[p]
                    left += slopes[j] * local.z[p]
                    total += penalty[j] * abs(local.z[p])
                    worst = max(worst, abs(slopes[j] * rate[j] - np.sign(local.z[p])))
            value[i], gap[i] = _verdict(
                squared[i], squared[i] - fit, max(squared[i] - fit - left, 0.0), total, greatest
            )
            kkt[i] = max(worst, greatest - 1)
            if gap[i] <= tol or steps >= max_iter or threshold < finest:
                break
            if made == 0 or (steps > 0 and greatest - 1 <= threshold):
                threshold *= LESS
            if size + want > capacity:
                size, n_slots = _room(local, size, gram, atoms, observed)
                known = size
            size = _pick(local, greatest, want, size)
            want = max(FIRST_WANT // 2, size // 2)
            for p in range(known, size):
                j = local.atom[p]
                local.penalty[p], local.rate[p], local.slot[p] = penalty[j], rate[j], -1
            for p in range(size):
                local.slope[p] = slopes[local.atom[p]]
                if local.slot[p] >= 0:
                    _fill(local, p, known, size, gram, atoms, observed)
            for p in range(known, size):  # codes to start from
                if local.z[p] != 0:
                    local.slot[p] = n_slots
                    n_slots += 1
                    _fill(local, p, 0, size, gram, atoms, observed)
            known = size
            made, n_slots = _descend(
                local, size, n_slots, nonnegative, greedy, threshold, max_iter - steps, gram, atoms, observed
            )
            steps += max(made, 1)
        iterations[i] = steps
        count[i] = _leave(local, size, index[i], codes[i])


@compiled
def gather_active(
    codes: np.ndarray, width: int, index: np.ndarray, values: np.ndarray, count: np.ndarray
) -> int:  # pragma: no cover (compiled)
    """The active codes of each row and their atoms, as far as `width` reaches; the largest number there is."""
    most = 0
    for i in range(len(codes)):
        n = 0
        for j in range(codes.shape[1]):
            if codes[i, j] != 0:
                if n < width:
                    index[i, n], values[i, n] = j, codes[i, j]
                n += 1
        count[i] = n
        most = max(most, n)
    return most


@compiled
def _enter(local: Local, index: np.ndarray, codes: np.ndarray, count: int) -> int:  # pragma: no cover (compiled)
    """The codes to start from become the first candidates."""
    for p in range(count):
        local.atom[p], local.z[p] = index[p], codes[p]
        local.place[index[p]] = p
    for p in range(count, len(local.z)):
        local.z[p] = 0
    return count


@compiled
def _leave(local: Local, size: int, index: np.ndarray, codes: np.ndarray) -> int:  # pragma: no cover (compiled)
    """The active codes are written down and the candidates forgotten; how many are active."""
    kept = 0
    for p in range(size):
        local.place[local.atom[p]] = -1
        if local.z[p] != 0:
            index[kept], codes[kept] = local.atom[p], local.z[p]
            kept += 1
    return kept


@compiled
def _slopes(
    c: np.ndarray, gram: np.ndarray, local: Local, size: int, slopes: np.ndarray
) -> None:  # pragma: no cover (compiled)
    """``c - z G`` from the Gram rows of the active codes, four at a time."""
    n_atoms = len(c)
    active = local.support
    z = local.z
    for j in range(n_atoms):
        slopes[j] = c[j]
    p = 0
    while p < size:
        n = 0
        while p < size and n < 4:
            if z[p] != 0:
                active[n] = p
                n += 1
            p += 1
        if n == 4:
            p0, p1, p2, p3 = active[0], active[1], active[2], active[3]
            g0, g1, g2, g3 = gram[local.atom[p0]], gram[local.atom[p1]], gram[local.atom[p2]], gram[local.atom[p3]]
            z0, z1, z2, z3 = z[p0], z[p1], z[p2], z[p3]
            for j in range(n_atoms):
                slopes[j] -= z0 * g0[j] + z1 * g1[j] + z2 * g2[j] + z3 * g3[j]
        else:
            for a in range(n):
                known, by = gram[local.atom[active[a]]], z[active[a]]
                for j in range(n_atoms):
                    slopes[j] -= by * known[j]


@compiled
def solve_round(
    rows: np.ndarray,
    slopes: np.ndarray,
    x: np.ndarray,
    residual: np.ndarray,
    observed: np.ndarray,
    atoms: np.ndarray,
    penalty: np.ndarray,
    rate: np.ndarray,
    local: Local,
    nonnegative: bool,
    greedy: bool,
    tol: float,
    max_iter: int,
    finest: float,
    index: np.ndarray,
    codes: np.ndarray,
    count: np.ndarray,
    threshold: np.ndarray,
    value: np.ndarray,
    gap: np.ndarray,
    kkt: np.ndarray,
    iterations: np.ndarray,
    done: np.ndarray,
) -> None:  # pragma: no cover (compiled)
    """One round of each row in `rows`, given the `slopes` (len(rows), atom) of its residual: certify, pick, descend.

    No Gram matrix of all atoms is needed, and each row may have units of its own that were `observed` (sample, unit;
    empty if all were). `residual`, and all after `finest`, are written in place.
    """
    n_units = atoms.shape[1]
    none = np.empty((0, 0), atoms.dtype)
    seen = np.empty(0, atoms.dtype)
    for k in range(len(rows)):
        i = rows[k]
        if len(observed) > 0:
            seen = observed[i]
        size = _enter(local, index[i], codes[i], count[i])
        greatest = _ratios(slopes[k], rate, nonnegative, local)
        squared, inner, left, total, worst = 0.0, 0.0, 0.0, 0.0, 0.0
        for u in range(n_units):
            squared += x[i, u] * x[i, u]
            inner += residual[i, u] * x[i, u]
            left += residual[i, u] * residual[i, u]
        for p in range(size):
            j = local.atom[p]
            total += penalty[j] * abs(local.z[p])
            worst = max(worst, abs(slopes[k, j] * rate[j] - np.sign(local.z[p])))
        value[i], gap[i] = _verdict(squared, inner, left, total, greatest)
        kkt[i] = max(worst, greatest - 1)
        if gap[i] <= tol or iterations[i] >= max_iter or threshold[i] < finest:
            done[i] = True
            count[i] = _leave(local, size, index[i], codes[i])
            continue
        if iterations[i] > 0 and greatest - 1 <= threshold[i]:
            threshold[i] *= LESS
        start = size
        size = _pick(local, greatest, FIRST_WANT if start == 0 else max(FIRST_WANT // 2, start), size)
        for p in range(size):
            j = local.atom[p]
            norm = 1.0
            if len(seen) > 0:
                norm = 0.0
                for u in range(n_units):
                    norm += seen[u] * atoms[j, u] * atoms[j, u]
                norm = max(np.sqrt(norm), 1e-12)
            local.norm[p] = norm
            local.z[p] *= norm
            local.penalty[p], local.rate[p] = penalty[j] / norm, rate[j] * norm
            local.slope[p] = slopes[k, j] / norm
            local.slot[p] = -1
        for p in range(start):
            local.slot[p] = p
            _fill(local, p, 0, size, none, atoms, seen)
        made, _ = _descend(
            local, size, start, nonnegative, greedy, threshold[i], max_iter - iterations[i], none, atoms, seen
        )
        if made == 0:
            threshold[i] *= LESS
        iterations[i] += max(made, 1)
        for u in range(n_units):
            residual[i, u] = x[i, u]
        for p in range(size):
            if local.z[p] != 0:
                local.z[p] /= local.norm[p]
                atom = atoms[local.atom[p]]
                for u in range(n_units):
                    residual[i, u] -= local.z[p] * atom[u]
        if len(seen) > 0:
            for u in range(n_units):
                residual[i, u] *= seen[u]
        count[i] = _leave(local, size, index[i], codes[i])
