"""A regularised linear probe on scikit-learn's solver: what the bank of perceptrons is held against."""

from __future__ import annotations

from typing import Any


def linear_probe(regularisation: float = 1.0) -> Any:
    """Return logistic regression on standardised features, a label at a time, as a scikit-learn pipeline.

    Args:
        regularisation: strength of the penalty on the squared weights; scikit-learn's ``C`` is one over it.

    Returns:
        An estimator for ``X [samples, dim]`` and ``y``: classes ``[samples]`` or a matrix of 0 and 1.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    one = LogisticRegression(C=1.0 / regularisation, max_iter=1000)
    return make_pipeline(StandardScaler(), OneVsRestClassifier(one))
