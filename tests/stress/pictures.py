"""Pictures that are broken, odd or hostile, made from seeds."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

SIZE = (48, 64)


def frame(seed: int) -> np.ndarray:
    """A reddish frame with a bright disc, uint8 (48, 64, 3)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    disc = (y - rng.integers(14, 34)) ** 2 + (x - rng.integers(18, 46)) ** 2 < rng.integers(40, 120)
    base = np.array([150, 70, 60]) + rng.normal(0, 8, (*SIZE, 3)) + 60 * disc[..., None]
    return base.clip(0, 255).astype(np.uint8)


def encode(image: Image.Image, form: str, **options) -> bytes:
    """A picture as the bytes of a file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


FORMS = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "BMP": ".bmp", "WEBP": ".webp", "GIF": ".gif"}


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def huge_png(width: int, height: int) -> bytes:
    """A small file that claims many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(bytes(10_000)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


def bomb_png(side: int) -> bytes:
    """A file of some kilobytes that unpacks to `side` x `side` black pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(side)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def odd_pictures() -> Iterator[tuple[str, str, bytes]]:
    """Kinds that exist, once each: (kind, suffix, bytes)."""
    rgb = Image.fromarray(frame(0))
    grey = np.asarray(rgb.convert("L"))
    yield "cmyk", ".jpg", encode(rgb.convert("CMYK"), "JPEG")
    yield "palette", ".png", encode(rgb.convert("P"), "PNG")
    yield "one bit", ".png", encode(rgb.convert("1"), "PNG")
    yield "grey", ".png", encode(rgb.convert("L"), "PNG")
    yield "grey and alpha", ".png", encode(rgb.convert("LA"), "PNG")
    half = rgb.convert("RGBA")
    yield "opaque alpha", ".png", encode(half, "PNG")
    half.putalpha(Image.fromarray(grey))
    yield "alpha", ".png", encode(half, "PNG")
    yield "16 bit", ".png", encode(Image.fromarray(grey.astype(np.uint16) * 256), "PNG")
    yield "16 bit", ".tif", encode(Image.fromarray(grey.astype(np.uint16) * 256), "TIFF")
    yield "32 bit", ".tif", encode(Image.fromarray(grey.astype(np.int32)), "TIFF")
    floats = (grey / 255).astype(np.float32)
    yield "float", ".tif", encode(Image.fromarray(floats), "TIFF")
    floats[3, 4], floats[5, 6] = np.nan, np.inf
    yield "float with NaN", ".tif", encode(Image.fromarray(floats), "TIFF")
    for width, height in ((1, 1), (1, 64), (64, 1), (2, 3), (1, 5000), (5000, 1)):
        thin = np.resize(frame(1), (height, width, 3))
        yield f"{width} x {height}", ".png", encode(Image.fromarray(thin), "PNG")
    others = [Image.fromarray(frame(seed)) for seed in (1, 2)]
    for form in ("GIF", "WEBP", "PNG", "TIFF"):
        yield "animated", FORMS[form], encode(rgb, form, save_all=True, append_images=others)
    for turn in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 99):
        exif = Image.Exif()
        exif[0x0112] = turn
        yield f"EXIF {turn}", ".jpg", encode(rgb, "JPEG", exif=exif.tobytes())
    for width, height in (
        (60_000, 60_000),
        (2**31 - 1, 2**31 - 1),
        (0, 48),
        (1, 2**31 - 1),
        (30_000, 30_000),
    ):
        yield f"claims {width} x {height}", ".png", huge_png(width, height)
    yield "bomb of 8000 x 8000", ".png", bomb_png(8000)
    yield "bomb of 20000 x 20000", ".png", bomb_png(20_000)
    bmp = bytearray(encode(rgb, "BMP"))
    bmp[18:26] = struct.pack("<ii", 50_000, 50_000)
    yield "claims 50000 x 50000", ".bmp", bytes(bmp)
    bmp[18:26] = struct.pack("<ii", -64, -48)
    yield "negative size", ".bmp", bytes(bmp)
    png = encode(rgb, "PNG")
    for form, suffix in FORMS.items():
        yield f"{form} named .png", ".png", encode(rgb, form)
        yield f"PNG named {suffix}", suffix, png
    yield "empty", ".png", b""
    yield "empty", ".jpg", b""
    yield "text", ".png", b"not a picture\n" * 20
    yield "web page", ".jpg", b"<!DOCTYPE html><html><body>404</body></html>"
    yield "LFS pointer", ".png", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"
    yield "PostScript", ".png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
    yield "SVG", ".png", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
    yield "PDF", ".png", b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>"
    yield "zeros", ".png", bytes(4096)
    yield "signature alone", ".png", png[:8]
    yield "two files in one", ".png", png + encode(rgb, "JPEG")
    yield "PNG without an end", ".png", png[:-12]
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(30_000_000), 9))
    yield "text bomb", ".png", png[:33] + text + png[33:]


def mutated_pictures(count: int, seed: int = 0) -> Iterator[tuple[str, str, bytes]]:
    """Good files with bytes flipped, cut out, put in, or cut off, in turn through all formats."""
    rng = np.random.default_rng(seed)
    forms = list(FORMS)
    for k in range(count):
        form = forms[k % len(forms)]
        content = bytearray(encode(Image.fromarray(frame(k)), form))
        kind = ("one bit", "bytes", "cut off", "cut out", "put in")[k // len(forms) % 5]
        place = int(rng.integers(len(content)))
        if kind == "one bit":
            content[place] ^= 1 << rng.integers(8)
        elif kind == "bytes":
            for place in rng.integers(len(content), size=10):
                content[place] = rng.integers(256)
        elif kind == "cut off":
            content = content[:place]
        elif kind == "cut out":
            del content[place : place + int(rng.integers(1, 40))]
        else:
            content[place:place] = rng.bytes(int(rng.integers(1, 40)))
        yield f"{kind} of {form}", FORMS[form], bytes(content)
