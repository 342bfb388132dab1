from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from es_recsys.encoders.image_loading import load_image
from es_recsys.encoders.onnx_image import preprocess_image
from es_recsys.errors import EncodingError

LIMIT = 1_000_000


def png_header(width: int, height: int) -> bytes:
    """A PNG that says a size and has almost nothing in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")


def colour(image: Image.Image, at: tuple[int, int] = (0, 0)) -> tuple[int, ...]:
    value = image.getpixel(at)
    assert isinstance(value, tuple)
    return value


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_formats_are_told_by_content_from_bytes_and_from_a_file(
    tmp_path: Path, picture: Callable[..., bytes], format: str
) -> None:
    data = picture("red", format)
    (tmp_path / "wrong.txt").write_bytes(data)
    for content in (data, tmp_path / "wrong.txt"):
        image = load_image(content, LIMIT)
        assert image.mode == "RGB" and image.size == (40, 30)
        assert colour(image)[0] > 240 and max(colour(image)[1:]) < 12


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "I;16", "RGBA", "LA"])
def test_every_mode_becomes_rgb_with_transparency_on_white(picture: Callable[..., bytes], mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((30, 40), 65_535 // 2, np.uint16))
    elif mode in {"RGBA", "LA"}:
        image = Image.new(mode, (40, 30), 0)
    else:
        image = Image.new("RGB", (40, 30), "white").convert(mode)
    read = load_image(picture(image, "JPEG" if mode == "CMYK" else "PNG"), LIMIT)
    assert read.mode == "RGB"
    expected = 127 if mode == "I;16" else 255
    assert all(abs(value - expected) < 4 for value in colour(read))


def test_a_transparent_colour_of_a_palette_is_white(picture: Callable[..., bytes]) -> None:
    image = Image.new("P", (40, 30), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    assert colour(load_image(picture(image, "GIF", transparency=0), LIMIT)) == (255, 255, 255)


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_turns_the_picture_upright(turn: int) -> None:
    upright = Image.new("RGB", (64, 32), "black")
    upright.paste("white", (0, 0, 16, 16))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the turn that EXIF's undoes
    stored = upright if turn == 1 else upright.transpose(Image.Transpose(back[turn]))
    exif = Image.Exif()
    exif[0x0112] = turn
    buffer = io.BytesIO()
    stored.save(buffer, "PNG", exif=exif)
    read = load_image(buffer.getvalue(), LIMIT)
    assert read.size == (64, 32)
    np.testing.assert_array_equal(np.asarray(read), np.asarray(upright))


def test_the_first_frame_is_taken(picture: Callable[..., bytes]) -> None:
    frames = [Image.new("RGB", (20, 20), name) for name in ("red", "blue")]
    assert colour(load_image(picture(frames[0], "GIF", save_all=True, append_images=frames[1:]), LIMIT))[0] > 240


@pytest.mark.parametrize("size", [(1_001, 1_000), (60_000, 60_000), (2**31 - 1, 2**31 - 1)])
def test_too_many_pixels_are_refused_by_the_header(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[object] = []
    monkeypatch.setattr(ImageFile.ImageFile, "load", decoded.append)
    data = png_header(*size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(EncodingError, match=r"pixels|formats"):
            load_image(data, LIMIT)
    assert decoded == []


def test_pillow_s_own_warning_is_an_error_even_where_the_limit_is_high() -> None:
    with pytest.raises(EncodingError, match="too many pixels"):
        load_image(png_header(10_000, 10_000), 10**12)


@pytest.mark.parametrize("data", [b"", b"no picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_picture_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").write_bytes(data)
    for content in (data, tmp_path / "a.png"):
        with pytest.raises(EncodingError) as caught:
            load_image(content, LIMIT)
        assert caught.value.remedy


def test_a_format_outside_the_list_is_refused(picture: Callable[..., bytes]) -> None:
    with pytest.raises(EncodingError, match="formats"):
        load_image(picture("red", "TIFF"), LIMIT)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match="can't be read"):
        load_image(tmp_path / "absent.png", LIMIT)


noise = Image.fromarray(np.random.default_rng(3).integers(0, 255, (60, 60, 3), np.uint8))


def encoded(format: str) -> bytes:
    buffer = io.BytesIO()
    noise.save(buffer, format)
    return buffer.getvalue()


WHOLE = {format: encoded(format) for format in ("PNG", "JPEG", "WEBP")}


@given(st.sampled_from(sorted(WHOLE)), st.floats(0, 0.95))
def test_a_picture_cut_off_anywhere_is_refused(format: str, share: float) -> None:
    data = WHOLE[format]
    with pytest.raises(EncodingError):
        load_image(data[: int(len(data) * share)], LIMIT)


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_spoilt_bytes_give_a_picture_or_an_encoding_error(format: str, data: st.DataObject) -> None:
    spoilt = bytearray(WHOLE[format])
    for _ in range(data.draw(st.integers(1, 8))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    with suppress(EncodingError):
        assert load_image(bytes(spoilt), LIMIT).mode == "RGB"


def test_a_large_jpeg_is_decoded_small_and_looks_the_same() -> None:
    ramp = np.linspace(0, 255, 2_000)
    values = np.stack([np.tile(ramp, (1_600, 1)), np.tile(ramp[:1_600, None], (1, 2_000)), np.full((1_600, 2_000), 90)], 2)
    buffer = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(buffer, "JPEG", quality=95)
    small = load_image(buffer.getvalue(), 10_000_000, near=256)
    assert 512 <= min(small.size) < 1_600
    plain = preprocess_image(load_image(buffer.getvalue(), 10_000_000), 256, 224, [0.5] * 3, [0.5] * 3)
    assert np.abs(plain - preprocess_image(small, 256, 224, [0.5] * 3, [0.5] * 3)).max() < 0.05


@given(st.integers(1, 3_000), st.integers(1, 3_000))
@settings(max_examples=25)
def test_any_shape_becomes_one_size(width: int, height: int) -> None:
    tensor = preprocess_image(Image.new("RGB", (width, height), "white"), 256, 224, [0.5] * 3, [0.5] * 3)
    assert tensor.shape == (3, 224, 224) and tensor.dtype == np.float32
    np.testing.assert_allclose(tensor, 1.0)
