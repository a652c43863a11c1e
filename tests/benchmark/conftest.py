"""Records that look like real ones: the six tasks' labels, four models, plausible scores."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cmbench.benchmark.protocol import PROTOCOLS
from cmbench.benchmark.records.evidence import Evidence
from cmbench.benchmark.records.record import (
    CostPart,
    Coverage,
    EnvironmentPart,
    FailedTrack,
    FamilyScore,
    Interval,
    LabelScore,
    LayerScore,
    Metric,
    ModelPart,
    PredictionsPart,
    ProtocolPart,
    Record,
    Selection,
    TaskPart,
)
from cmbench.benchmark.scoring.metrics import ranking_scores
from cmbench.files import sha256_of

MAKAM = (
    "instrument--Voice:650 instrument--Kanun:321 instrument--Tanbur:314 instrument--Ney:309 "
    "instrument--performing_orchestra:250 instrument--Oud:247 instrument--Classical_kemençe:254 instrument--Cello:171 "
    "instrument--Violin:177 usul--Aksak:106 makam--Hicaz:126 instrument--Percussion:112 usul--Düyek:94 "
    "usul--Aksaksemai:84 makam--Nihavent:73 makam--Hüzzam:65 instrument--Clarinet:60 usul--Curcuna:58 "
    "makam--Kürdilihicazkar:50 instrument--Bendir:65 makam--Uşşak:60 makam--Rast:42 instrument--Kudüm:49 "
    "instrument--Viola:42 usul--Yürüksemai:44 usul--Sofyan:49 makam--Segah:41 usul--Ağıraksak:41 makam--Hüseyni:29 "
    "usul--Devr-i_Kebir:28"
)
CARNATIC = (
    "instrument--Voice:432 instrument--Violin:437 instrument--Mridangam:408 form--Kriti:357 tala--adi:276 "
    "instrument--Ghatam:165 instrument--Khanjira:88 tala--rupaka:60 tala--mishra_chapu:30 form--Varnam:36 "
    "form--Alapana:35 form--Pallavi:17 raga--ragamalika:14 tala--khanda_chapu:19 instrument--Morsing:17 raga--thodi:12 "
    "form--Thillana:16 form--Mangalam:13 raga--bhairavi:8 raga--kalyani:10"
)
HINDUSTANI = (
    "instrument--Voice:206 instrument--Tabla:128 form--Khayal:98 instrument--Harmonium:96 tala--Teentaal:84 "
    "instrument--Tambura:62 tala--Ektaal:40 instrument--Sarangi:18 instrument--Pakhavaj:19 form--Dhrupad:18 "
    "tala--Jhaptaal:9 form--Thumri:16 form--Bhajan:8 instrument--Sitar:12 raga--Bhairabi:9 form--Tarana:6 "
    "instrument--Bansuri:0 raga--Yaman_kalyan:8 tala--Rupak:6 raga--Bageshree:4"
)
LYRA = (
    "instruments--Voice:223 genres--Traditional:277 instruments--Violin:171 instruments--Percussion:186 "
    "instruments--Laouto:141 instruments--Guitar:156 instruments--Klarino:120 genres--Nisiotiko:64 place--None:61 "
    "instruments--Bass:38 instruments--Accordion:56 instruments--Santouri:39 genres--Aegean:30 place--Aegean-sea:30 "
    "genres--Epirotic:30 place--Epirus:30 instruments--Bouzouki:41 genres--Mikrasiatiko:38 place--Asia-minor:38 "
    "genres--Rebetiko:36 genres--Laiko:8 instruments--Piano:3 instruments--Lyra:42 instruments--Oud:47 "
    "genres--Macedonian:15 place--Macedonia:15 genres--Peloponnesian:10 place--Peloponnese:10 instruments--Mandolin:10 "
    "instruments--Kanonaki:31"
)
FMA = (
    "Rock:1396 Electronic:1259 Punk:649 Experimental:441 Hip-Hop:446 Folk:325 Garage:280 Instrumental:275 "
    "Indie-Rock:263 Pop:247 Chip_Music:181 Ambient_Electronic:203 International:224 IDM:192 Techno:145 Downtempo:159 "
    "Soundtrack:175 Chiptune:123 House:132 Hardcore:118"
)
MTAT = (
    "guitar:875 classical:699 slow:806 techno:598 strings:394 drums:516 electronic:496 rock:564 fast:495 piano:467 "
    "ambient:508 beat:344 violin:231 vocal:435 synth:330 female:381 indian:174 opera:373 male:264 singing:295 "
    "vocals:282 no_vocals:245 harpsichord:189 loud:273 quiet:248 flute:162 woman:251 male_vocal:166 no_vocal:192 "
    "pop:196 soft:249 sitar:102 solo:159 man:135 classic:110 choir:188 voice:142 new_age:148 dance:153 male_voice:122 "
    "female_vocal:160 beats:142 harp:141 cello:20 no_voice:116 weird:131 country:67 metal:165 female_voice:119 "
    "choral:131"
)

# name -> (title, tradition, labels, tracks by split, default family)
TASKS: Mapping[str, tuple[str, str, str, tuple[int, int, int], str]] = {
    "carnatic": ("Carnatic", "carnatic", CARNATIC, (1829, 261, 522), ""),
    "fma_medium": ("FMA-medium", "western", FMA, (17486, 2498, 4996), "genre"),
    "hindustani": ("Hindustani", "hindustani", HINDUSTANI, (844, 120, 240), ""),
    "lyra": ("Lyra", "greek", LYRA, (1116, 124, 330), ""),
    "magnatagatune": ("MagnaTagATune", "western", MTAT, (15244, 1529, 4332), "tag"),
    "turkish_makam": ("Turkish makam", "turkish", MAKAM, (3709, 529, 1059), ""),
}

# name -> (hidden states, mean distance of the ROC-AUC from chance)
MODELS: Mapping[str, tuple[int, float]] = {
    "constant": (1, 0.0),
    "mfcc": (1, 0.17),
    "chroma": (1, 0.19),
    "random-mert-nano": (5, 0.12),
}


def interval(value: float, support: int) -> Interval:
    half = 0.35 / max(support, 1) ** 0.5
    return Interval(low=max(0.0, value - half), high=min(1.0, value + 0.9 * half))


def label_scores(task: str, skill: float, chance: random.Random) -> list[LabelScore]:
    _, _, text, tracks, default = TASKS[task]
    scores = []
    for item in text.split():
        label, support = item.rsplit(":", 1)
        label, n = label.replace("_", " "), int(support)
        family = label.split("--")[0].removesuffix("s") if "--" in label else default
        share = n / tracks[2]
        roc = min(0.99, 0.5 + skill * chance.uniform(0.3, 1.8) + (0.02 * chance.gauss(0, 1) if skill else 0.0))
        ap = share + (1 - share) * max(0.0, roc - 0.5)
        scores.append(
            LabelScore(
                label=label,
                family=family,
                support=n,
                train_support=n * 3,
                prevalence=share,
                roc_auc=roc if n else None,
                roc_auc_interval=interval(roc, n) if n else None,
                average_precision=ap if n else None,
                average_precision_interval=interval(ap, n) if n else None,
                f1=ap * 0.8 if n else None,
                reason=None if n else "no positive in the test split",
            )
        )
    return scores


def family_scores(labels: list[LabelScore]) -> list[FamilyScore]:
    families = dict.fromkeys(s.family for s in labels)
    found = []
    for family in families:
        members = [s for s in labels if s.family == family]
        rocs = [s.roc_auc for s in members if s.roc_auc is not None]
        aps = [s.average_precision for s in members if s.average_precision is not None]
        roc, ap = (fmean(rocs), fmean(aps)) if rocs else (None, None)
        found.append(
            FamilyScore(
                family=family,
                labels=len(members),
                defined=len(rocs),
                roc_auc=roc,
                roc_auc_interval=None if roc is None else interval(roc, 200),
                average_precision=ap,
                average_precision_interval=None if ap is None else interval(ap, 200),
            )
        )
    return found


def make_record(
    model: str = "mfcc",
    task: str = "turkish_makam",
    *,
    edition: str = "full",
    split: str = "official",
    protocol: str = "cmbench-1",
    labels: list[LabelScore] | None = None,
    failed: tuple[FailedTrack, ...] = (),
    notes: tuple[str, ...] = (),
    fingerprint: str | None = None,
    split_sha256: str | None = None,
    audio_sha256: str | None = None,
    hidden_states: int | None = None,
    skill: float | None = None,
) -> Record:
    chance = random.Random(f"{model} {task}")
    states, usual = MODELS.get(model, (13, 0.3))
    states, skill = hidden_states or states, usual if skill is None else skill
    title, tradition, _, tracks, _ = TASKS.get(task, (task, "tuvan", "", (80, 10, 20), ""))
    labels = label_scores(task, skill, chance) if labels is None else labels
    families = family_scores(labels)
    names = (*(f"hidden_{i}" for i in range(states)), *(("fused",) if states > 1 else ()))
    peak = chance.randrange(len(names))
    curve = [0.4 + 0.5 * skill - 0.012 * abs(i - peak) for i in range(len(names))]

    def metric(values: list[float | None]) -> Metric:
        defined = [v for v in values if v is not None]
        if not defined:
            return Metric(value=None, interval=None, per_seed=(None,) * 5, reason="no label is defined")
        value = fmean(defined)
        return Metric(value=value, interval=interval(value, tracks[2]), per_seed=(value,) * 5)

    by_split = dict(zip(("train", "valid", "test"), tracks, strict=True))
    lost = {s: sum(f.split == s for f in failed) for s in by_split}
    chosen = PROTOCOLS[protocol]
    undefined = {s.label: s.reason or "" for s in labels if s.roc_auc is None}
    return Record(
        cell_sha256=sha256_of(f"{model} {task}".encode()),
        model=ModelPart(
            name=model,
            family="anchors" if model == "constant" else "spectral",
            fingerprint=fingerprint or sha256_of(model.encode())[:16],
            sample_rate=24000,
            layers=states,
            layer_names=tuple(f"hidden_{i}" for i in range(states)),
            dim=40,
            parameters=0,
            licence="Apache-2.0",
            trained_on=(),
            weights_sha256=sha256_of(model.encode()),
            code_version="1",
            preprocessing="none",
            dtype="float32",
            source="built in",
            description=f"A stand-in for {model}.",
        ),
        task=TaskPart(
            name=task,
            title=title,
            tradition=tradition,
            edition=edition,
            split=split,
            labels=tuple(s.label for s in labels),
            families={s.label: s.family for s in labels},
            split_sha256=split_sha256 or sha256_of(f"{task} {split}".encode()),
            label_sha256=sha256_of(task.encode()),
            audio_sha256=audio_sha256 or sha256_of(f"{task} audio".encode()),
            tracks=by_split,
            groups=dict.fromkeys(by_split, None),
            licence="CC BY-NC-SA 4.0",
            citation=f"The makers of {title} (2020).",
            notes=notes,
        ),
        protocol=ProtocolPart(
            name=chosen.name,
            sha256=chosen.sha256,
            settings={"windowing": {"seconds": 30.0}, "interval_level": 0.95},
        ),
        metrics={
            "roc_auc": metric([s.roc_auc for s in labels]),
            "average_precision": metric([s.average_precision for s in labels]),
            "f1_micro": metric([s.f1 for s in labels]),
            "f1_macro": metric([s.f1 for s in labels]),
        },
        defined_labels=len(labels) - len(undefined),
        total_labels=len(labels),
        undefined_labels=undefined,
        labels=tuple(labels),
        families=tuple(families),
        selection=Selection(
            layer=names[peak],
            learning_rate=0.001,
            valid_score=curve[peak],
            fused_weights=None,
            epochs_per_seed=(12, 14, 11, 13, 12),
        ),
        layers=tuple(
            LayerScore(layer=n, learning_rate=0.001, roc_auc=v + 0.1, average_precision=v - 0.1, score=v, epochs=12)
            for n, v in zip(names, curve, strict=True)
        ),
        coverage=Coverage(
            asked=by_split,
            used={s: n - lost[s] for s, n in by_split.items()},
            failed=failed,
        ),
        predictions=PredictionsPart(file=f"{task}.npz", sha256=sha256_of(b"predictions")),
        environment=EnvironmentPart(
            created="2025-01-02T03:04:05+00:00",
            cmbench="0.1.0",
            python="3.11.9",
            platform="Linux-x86_64",
            packages={"torch": "2.13.0", "numpy": "2.2.0"},
            device="cpu",
            device_name="a processor",
            threads=2,
        ),
        cost=CostPart(audio_seconds=7200.0, encode_seconds=36.0, probe_seconds=12.5, peak_memory_mib=812.0),
    )


@pytest.fixture(scope="session")
def build_record() -> Callable[..., Record]:
    """``make_record``: a record from a few words."""
    return make_record


@pytest.fixture(scope="session")
def build_label() -> Callable[..., LabelScore]:
    """A label's score from its name, its family and its ROC-AUC; without the last, an undefined label."""

    def build(label: str, family: str, roc_auc: float | None) -> LabelScore:
        span = None if roc_auc is None else interval(roc_auc, 60)
        return LabelScore(
            label=label,
            family=family,
            support=60 if span else 0,
            train_support=180,
            prevalence=0.06,
            roc_auc=roc_auc,
            roc_auc_interval=span,
            average_precision=roc_auc,
            average_precision_interval=span,
            f1=roc_auc,
            reason=None if span else "no positive in the test split",
        )

    return build


@pytest.fixture(scope="session")
def board() -> list[Record]:
    """Four models on six tasks, real data; one broken file in turkish_makam."""
    failed = (FailedTrack(id="makam-17", split="test", file="makam-17.mp3", reason="the file is empty (0 bytes)"),)
    notes = {"turkish_makam": ("318 of 326 test recordings share a release with train or valid.",)}
    return [
        make_record(m, t, failed=failed if t == "turkish_makam" else (), notes=notes.get(t, ()))
        for m in MODELS
        for t in TASKS
    ]


def macro_scores(targets: NDArray[np.bool_], seeds: NDArray[np.float32]) -> dict[str, Metric]:
    """ROC-AUC and average precision of predictions ``[seeds, tracks, labels]``, as a record states them."""
    found = np.mean([ranking_scores(targets, probabilities) for probabilities in seeds], axis=0)
    defined = targets.any(axis=0) & ~targets.all(axis=0)
    scores = {}
    for name, values in zip(("roc_auc", "average_precision"), found, strict=True):
        value = float(values[defined].mean()) if defined.any() else None
        reason = None if defined.any() else "no label is defined"
        scores[name] = Metric(value=value, interval=None, per_seed=(value,) * len(seeds), reason=reason)
    return scores


@pytest.fixture(scope="session")
def build_evidence(build_label: Callable[..., LabelScore]) -> Callable[..., Evidence]:
    """A record with predictions made from targets and scores; nothing is written."""

    def build(
        model: str,
        targets: NDArray[np.bool_],
        probabilities: NDArray[np.floating],
        groups: Sequence[str | None],
        *,
        task: str = "lyra",
        families: Sequence[str] | None = None,
        **settings: Any,
    ) -> Evidence:
        families = families or ["instrument"] * targets.shape[1]
        labels = [build_label(f"{family}--{k}", family, 0.5) for k, family in enumerate(families)]
        settings = {"split_sha256": sha256_of(repr((targets.shape, targets.sum())).encode())} | settings
        seeds = (probabilities if probabilities.ndim == 3 else probabilities[None]).astype(np.float32)
        record = make_record(model, task, labels=labels, **settings)
        return Evidence(
            record=record.model_copy(update={"metrics": record.metrics | macro_scores(targets, seeds)}),
            path=Path(f"{model}.json"),
            track_ids=tuple(f"t{i}" for i in range(len(targets))),
            groups=tuple(groups),
            targets=targets,
            probabilities=seeds,
        )

    return build


@pytest.fixture(autouse=True)
def coarse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write the pixels of figures coarsely: what is in them is asked of the figures themselves and of their SVG."""
    if not {"views", "studies", "comparing"} & {*request.path.parts}:
        return
    from matplotlib.figure import Figure

    real = Figure.savefig

    def save(figure: Figure, *given: Any, **how: Any) -> None:
        real(figure, *given, **how | ({"dpi": 30} if how.get("format") == "png" else {}))

    monkeypatch.setattr(Figure, "savefig", save)


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the pictures out of pages of which only the text is looked at: to draw them takes longer than all else."""
    from cmbench.benchmark.pages import page

    monkeypatch.setattr(page, "_pictures", lambda *_: ())
