"""The loss, recomputed in numpy from the paper's formula and MERT's code; and it can be learnt."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cmbench.baselines.anchors import NANO
from cmbench.baselines.mert.heads import HeadShape
from cmbench.errors import UsageError
from cmbench.pretraining.objective.cqt import CqtShape, cqt_magnitudes
from cmbench.pretraining.objective.loss import pretraining_loss, token_losses
from cmbench.pretraining.objective.masking import SpanMasking, span_masks
from cmbench.pretraining.objective.mixture import NoiseMixture, mix_noise
from cmbench.pretraining.objective.model import Predictions, from_shape
from cmbench.pretraining.recipes.recipe import Loss

Doubles = NDArray[np.float64]


def as_mert_codes_it(projected: Doubles, codewords: Doubles, tokens: NDArray[np.int64], temperature: float) -> Doubles:
    """Cross-entropy of [positive | all classes] with the positive's copy at minus infinity, mean over frames."""
    losses = []
    for guesses, words, truth in zip(projected, codewords, tokens, strict=True):
        cosines = (guesses @ words.T) / np.outer(np.linalg.norm(guesses, axis=1), np.linalg.norm(words, axis=1))
        logits = cosines / temperature
        positive = logits[np.arange(len(truth)), truth].copy()
        logits[np.arange(len(truth)), truth] = -np.inf
        everything = np.concatenate([positive[:, None], logits], axis=1)
        losses.append((np.log(np.exp(everything).sum(axis=1)) - positive).mean())
    return np.array(losses)


@pytest.fixture
def batch() -> dict[str, NDArray[np.float64]]:
    draw = np.random.default_rng(7)
    mask = np.zeros((3, 9), bool)
    for row in mask:
        row[draw.choice(9, 4, replace=False)] = True
    return {
        "mask": mask,
        "states": draw.standard_normal((3, 9, 12)),
        "head": draw.standard_normal((8, 5, 12)),
        "bias": draw.standard_normal((8, 5)),
        "codewords": draw.standard_normal((8, 6, 5)),
        "tokens": draw.integers(0, 6, (3, 8, 10)).astype(np.float64),
        "cqt_head": draw.standard_normal((7, 12)),
        "cqt_bias": draw.standard_normal(7),
        "cqt": draw.random((3, 11, 7)),
        "features": draw.standard_normal((3, 4, 9)),
    }


def test_the_loss_of_fixed_inputs_recomputed(batch: dict[str, NDArray[np.float64]]) -> None:
    mask = batch["mask"].astype(bool)
    tokens = batch["tokens"].astype(np.int64)
    # In numpy, frame by frame, without the package.
    frames = [(clip, time) for clip in range(3) for time in range(9) if mask[clip, time]]
    states = np.stack([batch["states"][place] for place in frames])
    projected = np.einsum("mh,kdh->kmd", states, batch["head"]) + batch["bias"][:, None]
    truth = np.stack([[tokens[clip, k, time] for clip, time in frames] for k in range(8)])
    crosses = as_mert_codes_it(projected, batch["codewords"], truth, 0.1)
    predicted = states @ batch["cqt_head"].T + batch["cqt_bias"]
    error = np.mean([(predicted[i] - batch["cqt"][clip, time]) ** 2 for i, (clip, time) in enumerate(frames)])
    penalty = np.mean(batch["features"] ** 2)

    shape = HeadShape(codebook_size=6, levels=8, dim=5, cqt_bins=7)
    model = from_shape(NANO, shape, 0)
    weights = {
        "final_proj.weight": torch.tensor(batch["head"].reshape(40, 12)),
        "final_proj.bias": torch.tensor(batch["bias"].reshape(40)),
        "label_embs_concat": torch.tensor(batch["codewords"].reshape(48, 5)),
        "encoder_cqt_model.fc.weight": torch.tensor(batch["cqt_head"]),
        "encoder_cqt_model.fc.bias": torch.tensor(batch["cqt_bias"]),
    }
    weights = {name: tensor.float() for name, tensor in weights.items()}
    torch_mask = torch.from_numpy(mask)
    features = torch.tensor(batch["features"])
    predictions = model._predict(weights, torch.tensor(batch["states"])[torch_mask], features)
    found = pretraining_loss(predictions, torch.from_numpy(tokens), torch.tensor(batch["cqt"]), torch_mask, Loss())
    np.testing.assert_allclose(found.tokens.numpy(), crosses, rtol=1e-5)
    assert float(found.cqt) == pytest.approx(error, rel=1e-5)
    assert float(found.features) == pytest.approx(penalty, rel=1e-5)
    assert float(found.total) == pytest.approx(crosses.sum() + error + 10 * penalty, rel=1e-5)
    assert found.masked == 12
    right = [(np.asarray(predictions.logits[k]).argmax(1) == truth[k]).mean() for k in range(8)]
    np.testing.assert_allclose(found.accuracy.numpy(), right)
    weighed = pretraining_loss(
        predictions, torch.from_numpy(tokens), torch.tensor(batch["cqt"]), torch_mask, Loss(0.5, 2.0, 3.0)
    )
    assert float(weighed.total) == pytest.approx(0.5 * crosses.sum() + 2 * error + 3 * penalty, rel=1e-5)


def test_indifference_costs_the_logarithm_of_the_codebook() -> None:
    tokens = torch.zeros(8, 5, dtype=torch.int64)
    np.testing.assert_allclose(token_losses(torch.zeros(8, 5, 1024), tokens).numpy(), np.log(1024), rtol=1e-6)


def test_targets_that_are_too_short_are_refused() -> None:
    predictions = Predictions(torch.zeros(8, 2, 4), torch.zeros(2, 3), torch.zeros(1, 2, 5))
    mask = torch.tensor([[True, True, False, False, False]])
    with pytest.raises(UsageError, match="4 frames of tokens and 9 of CQT for a mask of 5"):
        pretraining_loss(predictions, torch.zeros(1, 8, 4).long(), torch.zeros(1, 9, 3), mask, Loss())


def test_a_few_steps_learn() -> None:
    """Tokens that say which of four tones is heard: better than chance after seconds, on masked frames alone."""
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    model = from_shape(NANO, HeadShape(codebook_size=4, dim=16), 0).train()
    optimiser = torch.optim.AdamW(model.parameters(), 2e-3)
    samples = 16_000
    frames, time = NANO.frames(samples), np.arange(samples) / 24_000
    totals, accuracies = [], []
    for _ in range(25):
        pitch = draw.integers(4, size=4)
        clean = np.stack([0.3 * np.sin(2 * np.pi * 150 * 3.0**p * time) for p in pitch]).astype(np.float32)
        tokens = torch.from_numpy(np.repeat(pitch, 8 * (frames + 1)).reshape(4, 8, frames + 1))
        mask = torch.from_numpy(span_masks(4, frames, SpanMasking(), draw))
        noisy = torch.from_numpy(mix_noise(clean, NoiseMixture(samples=(1200, 2400), volume=0.1), draw))
        losses = pretraining_loss(
            model(noisy, mask), tokens, cqt_magnitudes(torch.from_numpy(clean), CqtShape()), mask, Loss()
        )
        optimiser.zero_grad()
        losses.total.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        totals.append(float(losses.total.detach()))
        accuracies.append(float(losses.accuracy.mean()))
    assert np.mean(totals[-5:]) < 0.8 * np.mean(totals[:2])
    assert np.mean(accuracies[-5:]) > 0.5
