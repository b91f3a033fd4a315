"""A graph of real data: scikit-learn's digits, each joined to the most similar ones; in the layout of Cora."""

from __future__ import annotations

from pathlib import Path

from sklearn.datasets import load_digits
from sklearn.neighbors import kneighbors_graph


def write_graph(root: Path, name: str = "digits", *, neighbours: int = 5) -> Path:
    """`NAME.content` and `NAME.cites` in `root`."""
    digits = load_digits()
    near = kneighbors_graph(digits.data, neighbours).tocoo()
    rows = [
        f"n{number} {' '.join(str(int(v)) for v in pixels)} {label}"
        for number, (pixels, label) in enumerate(zip(digits.data, digits.target, strict=True))
    ]
    root.mkdir(parents=True, exist_ok=True)
    (root / f"{name}.content").write_text("\n".join(rows) + "\n")
    (root / f"{name}.cites").write_text("\n".join(f"n{a}\tn{b}" for a, b in zip(near.row, near.col, strict=True)))
    return root
