"""Which folder an item's picture is looked for in."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from es_recsys.encoders.batching import encode_items
from es_recsys.serving.store_encoders import ItemErrors
from es_recsys.sources import MediaFolders, read_items


def write(path: Path, *rows: dict[str, str]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def found(*files: Path) -> dict[str, Path]:
    folders = MediaFolders(files)
    return {item.item_id: folders.of(item) for item in read_items(files, folders=folders)}


def test_a_path_starts_from_the_folder_of_its_own_file(tmp_path: Path) -> None:
    a = write(tmp_path / "A" / "a.jsonl", {"item_id": "1", "image": "x.png"}, {"item_id": "2"})
    b = write(tmp_path / "B" / "b.jsonl", {"item_id": "3", "image": "x.png"}, {"item_id": "4", "image": "y.png"})
    assert found(a, b) == {"1": a.parent, "2": a.parent, "3": b.parent, "4": b.parent}
    assert found(b, a) == {"1": a.parent, "2": b.parent, "3": b.parent, "4": b.parent}


def test_a_picture_of_another_line_keeps_its_folder(tmp_path: Path) -> None:
    a = write(tmp_path / "A" / "a.jsonl", {"item_id": "1", "price": "3"}, {"item_id": "v1", "group_id": "g"})
    b = write(
        tmp_path / "B" / "b.jsonl",
        {"item_id": "1", "image": "x.png"},
        {"item_id": "v2", "group_id": "g", "title": "Shirt", "image": "y.png"},
    )
    assert found(a, b) == {"1": b.parent, "v1": b.parent, "v2": b.parent}


def test_files_of_one_folder_cost_no_memory(tmp_path: Path) -> None:
    files = [write(tmp_path / name, {"item_id": name, "image": "x.png"}) for name in ("a.jsonl", "b.jsonl")]
    folders = MediaFolders(files)
    assert len(list(read_items(files, folders=folders))) == 2
    assert folders._elsewhere == {}


def test_all_that_could_not_be_encoded_is_in_a_file(tmp_path: Path) -> None:
    errors = ItemErrors(tmp_path / "unencoded" / "f.jsonl")
    assert not (tmp_path / "unencoded").exists()
    for number in range(30):
        errors.add(str(number), "image", "is missing")
    assert errors.path is not None
    lines = [orjson.loads(line) for line in errors.path.read_bytes().splitlines()]
    assert [line["item_id"] for line in lines] == [str(number) for number in range(30)]
    assert lines[0] == {"item_id": "0", "field": "image", "reason": "is missing"}
    assert len(errors.first) == 10


@pytest.mark.parametrize("image", ["https://example.org/a.png", "absent.png"])
def test_a_picture_that_is_not_there_says_what_to_do(tmp_path: Path, image: str) -> None:
    class Pictures:
        name, content, field, dims, batch_size, fingerprint = "p", "image", "image_vector", 2, 1, "f"
        accepts = frozenset({"image"})

    [item] = read_items(write(tmp_path / "a.jsonl", {"item_id": "1", "image": image}))
    encoded = encode_items(Pictures(), [item], tmp_path)  # type: ignore[arg-type]
    assert "--columns image=-" in encoded.errors[0] if "://" in image else "Paths start from" in encoded.errors[0]
