"""Pictures from files that nobody vouches for: the header decides before anything is decoded."""

from __future__ import annotations

import io
import threading
import warnings
from pathlib import Path

from PIL import Image, ImageOps

from es_recsys.errors import EncodingError

__all__ = ["FORMATS", "load_image"]

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
"""Told by the content; the file's name is not looked at."""

_MAX_BYTES = 100_000_000
_HEADER_LOCK = threading.Lock()


def load_image(content: Path | bytes, max_pixels: int, near: int | None = None) -> Image.Image:
    """Load a picture as RGB, upright (EXIF), its first frame, transparent parts on white.

    max_pixels: width x height allowed, checked on the header. near: shorter side (pixels) that is enough for the caller;
    a large JPEG is then decoded at a fraction of its size. Raises EncodingError: empty, broken, too large, not a picture.
    """
    data = _read_bytes(content)
    image = _open(data)
    with image:
        width, height = image.size
        if width * height > max_pixels:
            raise _error(f"it has {width} x {height} pixels, more than the {max_pixels:,} allowed")
        try:
            if near is not None:
                image.draft("RGB", _draft_size(width, height, 2 * near))
            image.load()
            # Broken EXIF is no reason to refuse a picture that can be decoded.
            return _to_rgb(_apply_orientation(image))
        except MemoryError:
            raise
        except Exception as error:
            raise _error(f"it is broken or cut off ({type(error).__name__})") from None


def _error(reason: str) -> EncodingError:
    return EncodingError(f"The picture can't be used: {reason}.", f"Give one of {', '.join(FORMATS)}, whole and not too large.")


def _read_bytes(content: Path | bytes) -> bytes:
    if isinstance(content, bytes):
        data = content
    else:
        try:
            if content.stat().st_size > _MAX_BYTES:
                raise _error(f"the file has more than {_MAX_BYTES:,} bytes")
            data = content.read_bytes()
        except OSError as error:
            raise _error(f"the file can't be read ({error.strerror})") from None
    if not data:
        raise _error("it is empty")
    if len(data) > _MAX_BYTES:
        raise _error(f"it has more than {_MAX_BYTES:,} bytes")
    return data


def _open(data: bytes) -> Image.Image:
    try:
        # Filters of warnings belong to the whole process, so one header at a time; decoding is outside.
        with _HEADER_LOCK, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _error("it has too many pixels") from None
    except Exception:
        raise _error("it has none of the formats that can be read") from None


def _draft_size(width: int, height: int, side: int) -> tuple[int, int]:
    scale = side / max(1, min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _apply_orientation(image: Image.Image) -> Image.Image:
    try:
        turned = ImageOps.exif_transpose(image)
    except Exception:
        return image
    return image if turned is None else turned


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in {"RGBA", "LA", "PA", "RGBa", "La"} or "transparency" in image.info:
        layers = image.convert("RGBA")
        ground = Image.new("RGBA", layers.size, "white")
        return Image.alpha_composite(ground, layers).convert("RGB")
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion cuts it at 255 instead of scaling.
        return image.convert("I").point(lambda value: value * (1 / 257)).convert("L").convert("RGB")
    return image.convert("RGB")
