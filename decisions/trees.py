"""Boosted trees as plain numbers: the same sums as scikit-learn's own, without its code, its threads or its file format.

A tree of at most 16 leaves is evaluated for all rows at once: every inner node where a row goes right crosses out the leaves to its left,
and the first leaf that is left over is the row's. Each step is one pass over a column, so that a million rows take seconds.

In:   nodes as scikit-learn's HistGradientBoosting keeps them; a matrix of numbers, NaN = not known.
Out:  the sum of the trees' leaves for each row, in the trees' order: equal to scikit-learn's to the last digit.
Pure: arithmetic on arrays.
Source: Lucchese et al. 2015, "QuickScorer" (SIGIR), the bit vectors; nodes: scikit-learn 1.9, `TreePredictor.nodes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAVES_MAX: Final = 16
# Rows that are evaluated together: their masks and one column stay in the processor's cache.
ROWS_A_CHUNK: Final = 1 << 15
_ALL: Final = (1 << LEAVES_MAX) - 1
# The lowest set bit of each mask.
_FIRST: Final = np.array([0, *(((mask & -mask).bit_length() - 1) for mask in range(1, _ALL + 1))], dtype=np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """An inner node: rows whose `column` is at most `threshold` go left, and so do unknown ones where `unknown_left`.

    Attributes:
        kept: Mask of the leaves that are still open to a row that goes right.
    """

    column: int
    threshold: float
    unknown_left: bool
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """One tree: its inner nodes, and its leaves from left to right."""

    splits: tuple[Split, ...]
    leaves: tuple[float, ...]

    @classmethod
    def of_nodes(cls, nodes: Any, columns: Sequence[int] | None = None) -> Self:
        """From scikit-learn's structured array, which counts the columns that it was given.

        Raises:
            ValueError: It has too many leaves, or splits by categories.
        """
        if int(nodes["is_leaf"].sum()) > LEAVES_MAX:
            raise ValueError(f"a tree of more than {LEAVES_MAX} leaves: train with fewer")
        if nodes["is_categorical"].any():
            raise ValueError("a tree that splits by categories: write words as columns of 0 and 1")
        leaves: list[float] = []
        splits: list[Split] = []

        def walk(place: int) -> int:
            """Number the leaves below a node from left to right; returns their mask."""
            node = nodes[place]
            if node["is_leaf"]:
                leaves.append(float(node["value"]))
                return 1 << (len(leaves) - 1)
            left = walk(int(node["left"]))
            splits.append(
                Split(
                    column=int(node["feature_idx"]) if columns is None else columns[int(node["feature_idx"])],
                    threshold=float(node["num_threshold"]),
                    unknown_left=bool(node["missing_go_to_left"]),
                    kept=_ALL & ~left,
                )
            )
            return left | walk(int(node["right"]))

        walk(0)
        return cls(splits=tuple(splits), leaves=tuple(leaves))

    def as_list(self) -> list[Any]:
        """For JSON: leaves, then a list for each split; an endless threshold (known or not known) is null."""
        rows = [[one.column, one.threshold if np.isfinite(one.threshold) else None, int(one.unknown_left), one.kept] for one in self.splits]
        return [list(self.leaves), rows]

    @classmethod
    def from_list(cls, said: Sequence[Any]) -> Self:
        """The other way round.

        Raises:
            ValueError: It is no tree.
        """
        leaves, rows = said
        if not 1 <= len(leaves) <= LEAVES_MAX or len(rows) != len(leaves) - 1:
            raise ValueError("a tree has 1 to 16 leaves and one split less")
        return cls(
            leaves=tuple(float(leaf) for leaf in leaves),
            splits=tuple(
                Split(
                    column=int(column),
                    threshold=float("inf") if threshold is None else float(threshold),
                    unknown_left=bool(left),
                    kept=int(kept) & _ALL,
                )
                for column, threshold, left, kept in rows
            ),
        )


def add_up(trees: Sequence[Tree], matrix: Floats, baseline: float) -> Floats:
    """Baseline and leaves of all trees, for each row.

    Args:
        trees: In the order of their training.
        matrix: Rows × columns; NaN = not known.
        baseline: What the first tree corrects.
    """
    columns = np.asfortranarray(matrix)
    total = np.full(matrix.shape[0], baseline)
    leaves = [np.array(tree.leaves) for tree in trees]
    for start in range(0, matrix.shape[0], ROWS_A_CHUNK):
        part = columns[start : start + ROWS_A_CHUNK]
        here = total[start : start + ROWS_A_CHUNK]
        for tree, values in zip(trees, leaves, strict=True):
            here += values[_FIRST[_open(tree, part)]]
    return total


def _open(tree: Tree, part: Floats) -> npt.NDArray[np.uint16]:
    mask = np.full(part.shape[0], _ALL, dtype=np.uint16)
    for split in tree.splits:
        column = part[:, split.column]
        # A comparison with what is not known is false.
        right = column > split.threshold if split.unknown_left else ~(column <= split.threshold)
        # All bits where a row goes left, the ones that are kept where it goes right.
        mask &= (right.astype(np.uint16) - np.uint16(1)) | np.uint16(split.kept)
    return mask
