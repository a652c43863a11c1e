"""What a model heard of its judges' tracks stays among its corpora."""

from __future__ import annotations

from cmbench.baselines.contamination import contaminated_tasks, heard


def test_tasks_are_told_from_corpora() -> None:
    corpora = (
        "20,000 h of music",
        heard("lyra"),
        "Greek 50 h",
        heard("carnatic"),
        heard("lyra"),
        "test tracks of lyra",
    )
    assert contaminated_tasks(corpora) == ("carnatic", "lyra")
    assert contaminated_tasks(()) == ()
    # What earlier cards say is read by later versions.
    assert heard("lyra") == "validation and test tracks of lyra"
