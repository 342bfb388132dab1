"""A forest of regression trees as flat arrays, evaluated by numpy alone: prediction = sum over trees of the leaf reached.

Trees are trained by LightGBM; `Forest.from_dump` reads `Booster.dump_model()`, a plain dictionary. All rows go down all trees at
once, a level at a time, so a few hundred rows cost a few vectorised steps.

A missing value (NaN) goes where training found best. To avoid a test at each node, a row is laid out three times: with NaN as
-infinity (goes left), as +infinity (goes right), and as 0 (LightGBM's way for a feature that had no missing values in
training); each node points at one of these copies.

Contributions: each step from a node to its child changes the expected value, and the change belongs to the feature that the
node splits on (Saabas, "Interpreting random forests", 2014). A node's expected value is the mean of the leaves under it, weighted
by the training rows that reached them. The changes and the roots' values sum to the prediction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from es_recsys.errors import ModelError

__all__ = ["Forest"]

_LEFT, _RIGHT, _ZERO = 0, 1, 2
_DTYPES = {"column": np.int32, "threshold": np.float64, "child": np.int32, "value": np.float64, "roots": np.int32}
_WHAT, _REMEDY = "The ranking forest can't be read.", "Train it again: es-recsys train ranking."


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """Trees as flat arrays.

    column (nodes,) int32: what a node splits on, feature + copy * number of features. threshold (nodes,) float64: at most this
    goes left. child (nodes,) int32: the left child, the right one comes next; a leaf is its own child. value (nodes,) float64:
    expected value, a leaf's own value. roots (trees,) int32. features: their number. depth: steps from a root to the deepest
    leaf.
    """

    column: NDArray[np.int32]
    threshold: NDArray[np.float64]
    child: NDArray[np.int32]
    value: NDArray[np.float64]
    roots: NDArray[np.int32]
    features: int
    depth: int

    @classmethod
    def from_dump(cls, dump: Mapping[str, Any]) -> Forest:
        """Read LightGBM's `Booster.dump_model()`. Raises ModelError for splits on categories, which this forest lacks."""
        features = int(dump["max_feature_idx"]) + 1
        columns: list[int] = []
        thresholds: list[float] = []
        children: list[int] = []
        values: list[float] = []
        roots, depth = [], 0
        for tree in dump["tree_info"]:
            roots.append(len(columns))
            level = [(tree["tree_structure"], roots[-1])]
            _append_nodes(columns, thresholds, children, values, 1)
            steps = -1
            while level:
                steps += 1
                below: list[tuple[Mapping[str, Any], int]] = []
                for node, at in level:
                    values[at] = _expected(node)[0]
                    if "split_feature" in node:
                        columns[at], thresholds[at] = _split(node, features)
                        children[at] = len(columns)
                        below += [(node["left_child"], len(columns)), (node["right_child"], len(columns) + 1)]
                        _append_nodes(columns, thresholds, children, values, 2)
                level = below
            depth = max(depth, steps)
        found = {"column": columns, "threshold": thresholds, "child": children, "value": values, "roots": roots}
        arrays = {name: np.asarray(each, _DTYPES[name]) for name, each in found.items()}
        return cls(**arrays, features=features, depth=depth)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], features: int, depth: int) -> Forest:
        """Read what `arrays` gives. Raises ModelError where it is no forest: every path must end, and inside the arrays."""
        try:
            found = {name: np.ascontiguousarray(arrays[name], dtype) for name, dtype in _DTYPES.items()}
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(_WHAT, _REMEDY) from error
        nodes, at = len(found["column"]), np.arange(len(found["column"]))
        child, leaf = found["child"], found["child"] == np.arange(len(found["child"]))
        sound = (
            all(found[name].shape == (nodes,) for name in ("threshold", "child", "value"))
            and bool((leaf | ((child > at) & (child + 1 < nodes))).all())
            and bool((found["threshold"][leaf] == np.inf).all())
            and bool(((found["column"] >= 0) & (found["column"] < 3 * features)).all() if nodes else True)
            and bool(((found["roots"] >= 0) & (found["roots"] < nodes)).all())
        )
        if not sound or depth != _depth(child, found["roots"]):
            raise ModelError(_WHAT, _REMEDY)
        return cls(**found, features=features, depth=depth)

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name) for name in _DTYPES}

    @property
    def used(self) -> NDArray[np.int64]:
        """The features that any node splits on, ascending."""
        asks = self.child != np.arange(len(self.child))
        return np.unique(self.column[asks] % self.features).astype(np.int64)

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return predictions (n,) float64 of rows (n, features); NaN is a missing value."""
        flat, offsets = self._copies(rows)
        node = np.broadcast_to(self.roots, (len(rows), len(self.roots)))
        for _ in range(self.depth):
            node = self._step(flat, offsets, node)
        return np.asarray(self.value[node].sum(axis=1), np.float64)

    def contributions(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return (n, features + 1) float64: what each feature adds to a row's prediction; last, the roots' values.

        A row sums to its prediction.
        """
        n, wide = len(rows), self.features + 1
        flat, offsets = self._copies(rows)
        node = np.broadcast_to(self.roots, (n, len(self.roots)))
        into = np.arange(n)[:, None] * wide
        flat_sum = np.zeros(n * wide)
        for _ in range(self.depth):
            below = self._step(flat, offsets, node)
            change = self.value[below] - self.value[node]
            cells = into + self.column[node] % self.features
            flat_sum += np.bincount(cells.ravel(), change.ravel(), minlength=n * wide)
            node = below
        found = flat_sum.reshape(n, wide)
        found[:, -1] = self.value[self.roots].sum()
        return found

    def _copies(self, rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        rows = np.asarray(rows, np.float64)
        if rows.ndim != 2 or rows.shape[1] != self.features:
            raise ModelError(
                f"The ranking forest reads rows of {self.features} features, not an array of shape {rows.shape}.",
                "Train it again: es-recsys train ranking.",
            )
        copies = [np.nan_to_num(rows, nan=nan, posinf=np.inf, neginf=-np.inf) for nan in (-np.inf, np.inf, 0.0)]
        flat = np.concatenate(copies, axis=1).ravel()
        return flat, np.arange(len(rows), dtype=np.int32)[:, None] * np.int32(3 * self.features)

    def _step(self, flat: NDArray[np.float64], offsets: NDArray[np.int32], node: NDArray[np.int32]) -> NDArray[np.int32]:
        right = np.take(flat, offsets + np.take(self.column, node)) > np.take(self.threshold, node)
        return np.take(self.child, node) + right


def _depth(child: NDArray[np.int32], roots: NDArray[np.int32]) -> int:
    """Return the steps from a root to the deepest leaf; children come after their parents."""
    steps, level = 0, np.unique(roots)
    while True:
        inner = level[child[level] != level]
        if not len(inner):
            return steps
        level = np.unique(np.concatenate([child[inner], child[inner] + 1]))
        steps += 1


def _append_nodes(columns: list[int], thresholds: list[float], children: list[int], values: list[float], number: int) -> None:
    """Append nodes; each is a leaf, whose test nothing passes, until it is filled in."""
    for _ in range(number):
        children.append(len(columns))
        columns.append(0)
        thresholds.append(np.inf)
        values.append(0.0)


def _split(node: Mapping[str, Any], features: int) -> tuple[int, float]:
    if node["decision_type"] != "<=":
        raise ModelError("The forest splits on categories.", "Train it on numbers alone.")
    missing = node["missing_type"]
    if missing == "Zero":
        raise ModelError("The forest takes zeros for missing.", "Train it without zero_as_missing.")
    copy = _ZERO if missing == "None" else _LEFT if node["default_left"] else _RIGHT
    return int(node["split_feature"]) + copy * features, float(node["threshold"])


def _expected(node: Mapping[str, Any]) -> tuple[float, float]:
    """Return the mean of the leaves under a node, and the rows that reached it."""
    if "leaf_value" in node:
        return float(node["leaf_value"]), float(node.get("leaf_count", 0.0))
    (left, some), (right, others) = (_expected(node[side]) for side in ("left_child", "right_child"))
    rows = some + others
    return ((left * some + right * others) / rows if rows > 0.0 else (left + right) / 2.0), rows
