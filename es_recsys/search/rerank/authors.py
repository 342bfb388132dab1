"""Authors of a page: at most so many items of each, and a share for those whom the user doesn't know. Scores stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

__all__ = ["arrange_authors"]


def arrange_authors(
    authors: Sequence[str | None], known: Collection[str], page: int, most: int = 0, share_of_new: float = 0.0
) -> list[int]:
    """Return the order of the rows, page by page; where no others are left, a page is filled with what there is.

    authors: (n,) of the rows, best first; None for an item without one, which is never too many. known: authors whom the user
    knows. page: rows of a page. most: rows of one author on a page (0: any number). share_of_new: of a page, for others than
    those known; they take its last places.
    """
    left, found = list(range(len(authors))), []
    while left:
        taken = _page(left, authors, known, page, most, round(share_of_new * page))
        found += taken
        gone = set(taken)
        left = [row for row in left if row not in gone]
    return found


def _page(
    left: Sequence[int], authors: Sequence[str | None], known: Collection[str], page: int, most: int, places: int
) -> list[int]:
    """Return the rows of one page. places: how many are to be of authors who aren't known."""
    counts: Counter[str] = Counter()
    taken: list[int] = []

    def take(rows: Sequence[int], until: int, *, only_new: bool = False) -> None:
        for row in rows:
            author = authors[row]
            if len(taken) >= until or row in taken:
                continue
            if (author is None or author in known) and only_new:
                continue
            if author is not None:
                if most and counts[author] >= most:
                    continue
                counts[author] += 1
            taken.append(row)

    new_ones = sum(1 for row in left if authors[row] is not None and authors[row] not in known)
    take(left, page - min(places, new_ones))
    take(left, page, only_new=True)
    take(left, page)
    taken += [row for row in left if row not in taken][: max(page - len(taken), 0)]
    return taken
