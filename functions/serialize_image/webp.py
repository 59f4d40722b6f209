"""Prepare a WebP for a decoder."""

import struct

KINDS = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"EXIF"}


def webp_of_whole_chunks(webp: bytes) -> bytes:
    """A WebP of its whole chunks, with the size that they have; what follows them is left out."""
    parts, at = [b"WEBP"], 12
    while at + 8 <= len(webp):
        kind, size = struct.unpack_from("<4sI", webp, at)
        if at + 8 + size > len(webp):
            break
        if kind in KINDS:
            parts.append(webp[at : at + 8 + size] + bytes(size % 2))
        at += 8 + size + size % 2
    body = b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body
