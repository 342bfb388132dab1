"""Small models that the tests make, and pictures."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from es_recsys.settings import Settings


@pytest.fixture(scope="session")
def encoder_settings(model_cache: Path) -> Callable[..., Settings]:
    """Settings with the shared cache; the arguments are those of EncoderSettings."""

    def make(**chosen: object) -> Settings:
        return Settings.model_validate({"cache": model_cache, "encoders": chosen})

    return make


@pytest.fixture
def picture() -> Callable[..., bytes]:
    """Bytes of a picture in one colour, or of a given one."""

    def make(image: Image.Image | str = "red", format: str = "PNG", size: tuple[int, int] = (40, 30), **options: object) -> bytes:
        shown = Image.new("RGB", size, image) if isinstance(image, str) else image
        buffer = io.BytesIO()
        shown.save(buffer, format, **options)
        return buffer.getvalue()

    return make
