"""What the first bytes of a body say it is. Headers are not believed."""

_DIB_HEADER_SIZES = frozenset({12, 16, 40, 52, 56, 64, 108, 124})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_MAX_FTYP = 256


def sniff(body: bytes) -> str | None:
    """The format, in Pillow's words, of the images we accept; None for anything else."""
    if body.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if body.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if body.startswith(b"RIFF") and body[8:12] == b"WEBP":
        return "WEBP"
    if body.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        return "TIFF"
    if body.startswith(b"BM") and int.from_bytes(body[14:18], "little") in _DIB_HEADER_SIZES:
        return "BMP"
    return "AVIF" if _is_avif(body) else None


def _is_avif(body: bytes) -> bool:
    """An ISO media file whose major or compatible brands name AVIF."""
    if body[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(body[:4], "big"), _MAX_FTYP)
    brands = {body[at : at + 4] for at in (8, *range(16, end, 4))}
    return not brands.isdisjoint(_AVIF_BRANDS)
