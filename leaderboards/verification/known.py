"""Models that every machine can have: their names, and hashes of their weights where cmbench makes or checks them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from ...baselines.published import published
from ...baselines.registry import registry
from ..entry import name_key

WEIGHTS: Mapping[str, tuple[str, ...]] = {
    "constant": ("d413f65286221536df21b59e5d29215e2817d8cc70a1d6ef4273e7c63c6b1a08",),
    "mfcc": ("6fff14f777f2e5ec23bdfda76c9e756aa18d95ac00cc05db12c6b85bc8acfbde",),
    "chroma": ("2fedf0c3cfee54ac029c422adb40a1e8b6b3c09b0f6b0cc978cadaffc6971df4",),
    "random-mert-nano": ("77bbc0d8bffe7b00051db91e01a5609dfb8ceecd12c7dde43ea6aefd3a3eaad6",),
    "musicnn-mtt": ("cd5cb7b2d70507db80e7e651298910bbf2241f63c931546ed855b670240809e6",),
    "musicnn-msd": ("80fb599fc521a3b81a68c098725be58aa238dd5ca8190dea046f092e753a631f",),
    "MERT-nano-untrained": ("7184d48f9557bca4672d924a9e8713561d72e3bc18c564ec5780e85ed7ebe09a",),
    "random-mert-95m": ("1f327d27f426d108a7f22c2da2a40919c1583252de58e58540e0e26a2ecd9893",),
    "CarnaticMERT-nano": (
        "2931060ad980c0246060231689293fe6c21401d51245e40f73507c1216a4e1e6",
        "97fdad85d9f3c537ff29f02a96c5513a1a964bc42f5d5a1088af7f269af072c6",
        "857ae6f91971df5befdd87c11717b60a50b3c37e7e56a4ce81602977c8c3bb0d",
    ),
    "CultureMERT-TA-nano": (
        "41f9b32ff9af9b9d63d5b5857fba56bed654bad34b262aeb1d36a170b7bec15e",
        "6170753f2fb2c6e5aee4792fc3db47621b52e4e8096330a814ccbdfff4c0d835",
        "2806b88fc7ed76f52c7717de1687755c237c99241dbc348a46447d3900ebb923",
    ),
    "CultureMERT-nano": (
        "cd808e43c592e73692b49de63110a7712dc81c346da76b306ffe68584d9cc5bd",
        "14f91c51f8a426f5ac9be245ed2b2d54bf3b00d7a16ef853005bb10aa9db9100",
        "299c4cc98e069e0e162b32f688c06e8dad74d964fae583c857c6027c11ca43b1",
    ),
    "GreekMERT-nano": (
        "e48c430968783c06fcad7c07c2bd14df0bde6d3c07c8e404c8b9e2bbfb9fec55",
        "f1e18c31c84b1cc3886b55362b793933dc1c4186c91e67971b989c82b67175c7",
        "09f598d4c2fcee757139c588e63fa64cbd93a0dca413ba53ba6d347258fbbe3a",
    ),
    "HindustaniMERT-nano": (
        "f058b18212365c7f162d844cebfc54b98ea6d7905bb64f60e7ca58a932023a1d",
        "cfb043432c8c9bf288a9d04e910c53a57d28c03e26a39532be68bd1244a22c43",
        "c0dd0c6e3a74ad7b3fd0ab288f09d631c50183d333c314a94f4e4f0a4c2064cb",
    ),
    "MERT-nano": (
        "f8c268e99826dc52c9a35e6e01dc1b6ac5e148d5118786165c33bf32484e36ef",
        "3ce7859c02a530561ae13056324d9cca02597a63792257d9406605a08e6cf763",
        "d04751f396b70060865ed1a7bcd3affda4b20de2e9d6083e92df4c8db36d776b",
    ),
    "TurkishMERT-nano": (
        "7e4dda3359e5b4f60b98eb256f6f606aac6f4fa3536730cbcabe29731f6d8bd5",
        "f80ce63342bb8e77f8e89315f21958baa9ab58d06cafd2bf62fafeb29a78b947",
        "cbb4442057e19cea982555454e0c74d03227aa72ef3a18e9110707ac7ff89aee",
    ),
}
"""Name -> SHA-256 of its weights, or of its definition, in every version that was ever shipped."""

DEFINED = ("constant", "mfcc")
"""Anchors that are a definition and no weights: nothing else can be called so."""


@cache
def name_of(weights_sha256: str) -> str | None:
    """Return the known model whose weights these are; ``None`` for any other."""
    return next((name for name, known in WEIGHTS.items() if weights_sha256 in known), None)


@cache
def released(name: str) -> str | None:
    """Return the released model, anchor or published baseline that a reader takes a name for; ``None`` if none."""
    names = (*WEIGHTS, *registry(), *(row.model for row in published()))
    return next((one for one in names if name_key(one) == name_key(name)), None)
