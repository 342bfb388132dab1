"""Reads the body of a request, no larger than allowed."""

from __future__ import annotations

import zlib

from starlette.requests import Request

from es_recsys.service.errors import ServiceError

__all__ = ["read_body"]


async def read_body(request: Request, most: int) -> bytes:
    """Return the body, unpacked where it is gzipped. most: bytes, also of what is unpacked. Raises ServiceError."""
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise ServiceError(415, "media_type_header_exception", "The body may be gzipped, or as it is.")
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _too_large(most)
        parts.append(part)
    raw = b"".join(parts)
    return raw if encoding == "identity" else _unzipped(raw, most)


def _unzipped(raw: bytes, most: int) -> bytes:
    unzip = zlib.decompressobj(wbits=31)
    try:
        found = unzip.decompress(raw, most + 1)
    except zlib.error:
        raise ServiceError(400, "parsing_exception", "The body is no gzip.") from None
    if len(found) > most:
        raise _too_large(most)
    if not unzip.eof or unzip.unused_data:
        raise ServiceError(400, "parsing_exception", "The gzip ends too early, or something comes after it.")
    return found


def _too_large(most: int) -> ServiceError:
    reason = f"The body has more than {most >> 10:,} KiB. Send less at once, or raise ES_RECSYS_SERVICE__MAX_BODY_KIB."
    return ServiceError(413, "content_too_long_exception", reason)
