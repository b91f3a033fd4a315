"""Ratings as people might give them, who each like one genre. Made up, as no published set comes with a package; in the
layouts of MovieLens.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

GENRES = ("Action", "Comedy", "Drama", "Horror")


def write_ratings(root: Path, *, users: int = 80, items: int = 60, each: int = 12, seed: int = 0) -> Path:
    """`u.data` and `u.item` in `root`: each user rates some items from 1 to 5, mostly of a genre that he likes."""
    random = np.random.default_rng(seed)
    genre = random.integers(0, len(GENRES), items)
    likes = random.integers(0, len(GENRES), users)
    better, kinder = random.normal(0, 0.5, items), random.normal(0, 0.4, users)
    lines = []
    for user in range(users):
        liked = genre == likes[user]
        chance = np.where(liked, 6.0, 1.0) * np.exp(better)
        for place, item in enumerate(
            random.permutation(random.choice(items, each, replace=False, p=chance / chance.sum()))
        ):
            value = 3 + better[item] + kinder[user] + (1.0 if liked[item] else -0.7) + random.normal(0, 0.3)
            lines.append(f"{user + 1}\t{item + 1}\t{int(np.clip(round(value), 1, 5))}\t{880_000_000 + place * 60}")
    root.mkdir(parents=True, exist_ok=True)
    (root / "u.data").write_text("\n".join(np.random.default_rng(1).permutation(lines)) + "\n")
    flags = ["|".join(str(int(g == k)) for k in range(len(GENRES))) for g in genre]
    titles = [f"{i + 1}|Caf\xe9 {i} (1995)|01-Jan-1995||http://x/{i}|{flags[i]}" for i in range(items)]
    (root / "u.item").write_bytes(("\n".join(titles) + "\n").encode("latin-1"))
    return root
