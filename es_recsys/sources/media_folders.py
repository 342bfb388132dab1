"""Where the paths of pictures and sounds start: the folder of the file that the line came from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from es_recsys.types import Item

__all__ = ["MediaFolders"]


class MediaFolders:
    """The folder of each item's file. Keeps in memory only items of files that lie elsewhere than the first."""

    def __init__(self, files: Sequence[Path]) -> None:
        self.base = files[0].resolve().parent
        self._folders = {file: folder for file in files if (folder := file.resolve().parent) != self.base}
        self._elsewhere: dict[tuple[str, str | None, str | None], Path] = {}

    def add(self, item: Item, file: Path) -> None:
        """Remember where a line's item came from, before lines are joined: a variant has the picture of its group."""
        if self._folders and (item.image or item.audio) and (folder := self._folders.get(file)) is not None:
            for owner in {item.item_id, item.group_id or item.item_id}:
                self._elsewhere[owner, item.image, item.audio] = folder

    def of(self, item: Item) -> Path:
        """Return the folder that the item's paths start from."""
        if not self._elsewhere:
            return self.base
        for owner in (item.item_id, item.group_id or item.item_id):
            if (folder := self._elsewhere.get((owner, item.image, item.audio))) is not None:
                return folder
        return self.base
