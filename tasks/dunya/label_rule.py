"""The rule that made the published label lists, and how a list made today differs from the published one.

Rule: count the tags of the training tracks, sort them by name, then by count with ties left as they are, and keep the
first N (pxaris/ccml at 1f20c2f, ``training/datasets``). The rule is ours to check, not to follow: tasks ship their
lists, because Dunya's tags change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Tags = Mapping[str, Collection[str]]
"""Tags by track id."""


def tag_counts(tags: Tags, ids: Iterable[str]) -> Counter[str]:
    """Return in how many of the tracks ``ids`` each tag occurs; a track without known tags counts nowhere."""
    return Counter(tag for track in ids for tag in set(tags.get(track, ())))


def top_labels(counts: Mapping[str, int], number: int) -> tuple[str, ...]:
    """Return the ``number`` most frequent tags, ties in alphabetical order (of code points, as Python sorts)."""
    return tuple(sorted(sorted(counts), key=lambda tag: -counts[tag])[:number])


@dataclass(frozen=True)
class LabelComparison:
    """A label list made by the rule beside the published one."""

    published: tuple[str, ...]  # labels in the published order
    found: tuple[str, ...]  # labels that the rule gives
    train: tuple[int, int]  # training tracks whose tags are known, and training tracks in all
    test: tuple[int, int]  # the same of the test split
    tied: tuple[str, ...]  # tags outside the list that are as frequent as the last label inside
    # label -> test tracks found and published, where they differ; published labels only
    supports: Mapping[str, tuple[int, int]]

    @property
    def appear(self) -> tuple[str, ...]:
        """Labels that the rule gives and the published list has not."""
        return tuple(label for label in self.found if label not in self.published)

    @property
    def disappear(self) -> tuple[str, ...]:
        """Published labels that the rule does not give."""
        return tuple(label for label in self.published if label not in self.found)

    @property
    def moved(self) -> tuple[str, ...]:
        """Labels of both lists whose order among these differs."""
        before = [label for label in self.published if label in self.found]
        after = [label for label in self.found if label in self.published]
        return tuple(label for label, other in zip(before, after, strict=True) if label != other)

    @property
    def complete(self) -> bool:
        """Whether the tags of all training and test tracks are known."""
        return self.train[0] == self.train[1] and self.test[0] == self.test[1]

    def sentences(self, most: int = 8) -> tuple[str, ...]:
        """Say it in a few lines, with at most ``most`` labels in each."""
        said = [
            f"labels by the published rule from {self.train[0]} of {self.train[1]} training recordings: "
            f"{len(set(self.found) & set(self.published))} of the {len(self.published)} published ones"
        ]
        for what, labels in (("appear", self.appear), ("disappear", self.disappear), ("stand elsewhere", self.moved)):
            if labels:
                said.append(f"  {what}: {_shortened(labels, most)}")
        if self.tied:
            said.append(f"  as frequent as the last of them: {_shortened(self.tied, most)}")
        if self.supports:
            shown = [f"{label} {found} (published {old})" for label, (found, old) in self.supports.items()]
            said.append(
                f"  other numbers in {self.test[0]} of {self.test[1]} test recordings: {_shortened(shown, most)}"
            )
        return tuple(said)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "found": list(self.found),
            "appear": list(self.appear),
            "disappear": list(self.disappear),
            "stand_elsewhere": list(self.moved),
            "tied_with_the_last": list(self.tied),
            "train_known": self.train[0],
            "train_listed": self.train[1],
            "test_known": self.test[0],
            "test_listed": self.test[1],
            "test_support": {label: {"found": n, "published": old} for label, (n, old) in self.supports.items()},
        }


def compare_labels(
    tags: Tags, train: Collection[str], test: Collection[str], published: Mapping[str, int]
) -> LabelComparison:
    """Make a label list by the rule and set it beside the published one."""
    counts = tag_counts(tags, train)
    found = top_labels(counts, len(published))
    last = counts[found[-1]] if found else 0
    support = tag_counts(tags, test)
    return LabelComparison(
        published=tuple(published),
        found=found,
        train=(sum(track in tags for track in train), len(train)),
        test=(sum(track in tags for track in test), len(test)),
        tied=tuple(sorted(tag for tag, count in counts.items() if count == last and tag not in found)),
        supports={label: (support[label], n) for label, n in published.items() if support[label] != n},
    )


def _shortened(parts: Sequence[str], most: int) -> str:
    more = len(parts) - most
    return ", ".join(parts[:most]) + (f" and {more} more" if more > 0 else "")
