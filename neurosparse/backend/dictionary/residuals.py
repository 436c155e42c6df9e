"""Where new atoms should point: directions that the residual asks for. Imports numpy and torch."""

from __future__ import annotations

import torch

from neurosparse.backend.dictionary.settings import Random, Settings

Tensor = torch.Tensor
# Starts of each power iteration, and its steps.
STARTS, STEPS = 10, 8
# Samples that directions are sought in, at the most.
MAX_SAMPLES = 20_000


def directions(residual: Tensor, penalty: float, n: int, settings: Settings, random: Random) -> Tensor:
    """Unit vectors d that, as new atoms, would lower the objective most: ``1/2 sum_i max(r_i . d - penalty, 0)^2``.

    Power iterations from ten badly explained samples; the best is taken out of the residual before the next is sought.

    Parameters
    ----------
    residual : (sample, unit) tensor
    penalty : float
    n : int
    settings : Settings
    random : numpy.random.RandomState

    Returns
    -------
    (n, unit) tensor
        Of unit norm; random where nothing is left to explain.
    """
    left, found = residual[:MAX_SAMPLES].clone(), []
    signed, nonnegative = settings.codes == "signed", settings.atoms == "nonnegative"
    for _ in range(n):
        size = left.square().sum(1).square().cpu().numpy().astype(float)
        if not size.sum() > 0:
            found.append(torch.as_tensor(random.standard_normal(left.shape[1])).to(left))
        else:
            picked = random.choice(len(left), STARTS, p=size / size.sum())
            atoms = left[torch.as_tensor(picked).to(left.device)].clone()
            for _ in range(STEPS):
                atoms = _toward(left, atoms, penalty, signed, nonnegative)
            use = _soft(left @ atoms.T, penalty, signed)
            best = int(use.square().sum(0).argmax())
            found.append(atoms[best])
            left -= use[:, best : best + 1] * atoms[best]
        if nonnegative:
            found[-1] = found[-1].abs()
    new = torch.stack(found)
    return new / new.norm(dim=1, keepdim=True)


def gains(residual: Tensor, atoms: Tensor, penalty: float, settings: Settings) -> Tensor:
    """How much each unit vector alone, as a new atom, would lower the mean objective, (atom,)."""
    use = _soft(residual[:MAX_SAMPLES] @ atoms.T, penalty, settings.codes == "signed")
    return 0.5 * use.square().mean(0)


def _toward(left: Tensor, atoms: Tensor, penalty: float, signed: bool, nonnegative: bool) -> Tensor:
    atoms = atoms / atoms.norm(dim=1, keepdim=True)
    new = _soft(left @ atoms.T, penalty, signed).T @ left
    if nonnegative:
        new = new.clamp(min=0)
    return torch.where(new.norm(dim=1, keepdim=True) > 0, new / new.norm(dim=1, keepdim=True), atoms)


def _soft(values: Tensor, penalty: float, signed: bool) -> Tensor:
    positive = (values - penalty).clamp(min=0)
    return positive + (values + penalty).clamp(max=0) if signed else positive
