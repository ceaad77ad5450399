"""What is kept of a file: the same picture, and nothing that names a person, a place or a device."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from pictures import encode, noise, png
from PIL import Image, PngImagePlugin

from transfer_core.data import depth
from transfer_core.data.images import decode, to_rgb
from transfer_core.data.ingest import Candidate, ingest
from transfer_core.data.keep import Kept, keep
from transfer_core.data.library import Library
from transfer_core.data.manifest import Reading
from transfer_core.errors import UserError

GPS, MAKE, ORIENTATION, SERIAL = 0x8825, 0x010F, 0x0112, 0xA431
SECRET = "SN-55512-ERIKA"
# Red and green over blue, 96 x 64, turned by a tag so that the blue comes to stand on the left.
HEIC = base64.b85decode(
    "0000SW^{RQXk}?*00000ZE0pPXk}?*ZE0a<0004@ZDn*}000000000XXk=`10000000000aA{+700000000000000000000G-+&aV*mgE0"
    "7O6l0ssL300001#Q*^S00000005By0ssI200LG30RR9100000J^%m!IB98aW&i*H00062000$fZf0cy000000RRAKc4ILB0000LX>Mj^0s"
    "sI300IC2MR;ju000004sdC7Z2$lO00031007`=aB^?}006*gaAR)(004Msc4I>U18@KU0FVFx0000U@BsY%`1k+-4+CHT0RR|40Sp2E{{w"
    "IU00RJ!0009300RIXx&lC90096iLID8-Z~y=U0FVFx0{{R603M()fd!W8Nhz*w0vZem00093$N&HX00=;000968L;=Baup&SJ000wXZ)|d"
    "IV{CW;0RRmE27mwn02FC+aAg1h000000AK(B06+i$01$9#cxeCt0009B2nYZG010VwZ*&6y000<iaBX1#00000000310R@2q0|bQt000_k"
    "a%E-!00000000hSWOHKx0ssL30RR91*KK5BbN~PVjVJ-H3E<;LoVu_7{y`uA{xKVn{siWvf>L?#SIPcvSO4c`2C-#FD*F=C&1YFHps#=yj"
    "ns7qj(OUI6JN8y3V0s!AZg{8DH29?6eVu#h85RT+@ba-qMmOiZ$JLrXXE*Hd%yW1?vXYdnfLR_eGix5{;KLeT3ub@m<2!)fd|MX*G7e3y$"
    "t05cVGYj00u>PX=VTbO-%qQ0000800IFJ00IC201f~E044zv00RI30096700000002`(LsCUlEki*~MN&Zk"
)


def only(data: bytes) -> Kept:
    (kept,) = keep(data)
    return kept


def seen(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, Reading()))


def talking(orientation: int = 1) -> Image.Exif:
    """Metadata with a place, a camera's serial number and a way to be turned."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE], exif[SERIAL] = orientation, SECRET, SECRET
    exif.get_ifd(GPS).update({1: "N", 2: (52.0, 31.0, 12.0), 29: SECRET})
    return exif


def chatty_png() -> bytes:
    about = PngImagePlugin.PngInfo()
    about.add_text("Author", SECRET)
    about.add_itxt("Comment", SECRET, zip=False)
    return encode(noise(1), "PNG", pnginfo=about)


def chatty_tiff(kind: str) -> bytes:
    out = io.BytesIO()
    values = np.asarray(noise(2)).astype(kind)
    tags = [(42033, "s", 0, SECRET, True)]  # the camera's serial number
    tifffile.imwrite(out, values, photometric="rgb", description=SECRET, software=SECRET, extratags=tags)
    return out.getvalue()


TALKERS = {
    "jpeg": encode(noise(3), "JPEG", exif=talking(6), comment=SECRET.encode()),
    "progressive": encode(noise(3, 90, 70), "JPEG", exif=talking(3), progressive=True),
    "jpeg and another behind it": encode(noise(3), "JPEG") + encode(noise(4), "JPEG", exif=talking()),
    "printing inks": encode(noise(3).convert("CMYK"), "JPEG", exif=talking(8)),
    "png": chatty_png(),
    "png turned": encode(noise(1), "PNG", exif=talking(6)),
    "webp": encode(noise(5), "WEBP", lossless=True, exif=talking(6)),
    "tiff": chatty_tiff("u1"),
}


@pytest.mark.parametrize("data", TALKERS.values(), ids=TALKERS)
def test_the_picture_stays_and_the_words_go(data: bytes) -> None:
    assert SECRET.encode() in data
    kept = only(data)
    assert SECRET.encode() not in kept.data
    with Image.open(io.BytesIO(kept.data)) as opened:
        assert not opened.getexif().get_ifd(GPS)
        assert set(opened.getexif()) <= {ORIENTATION} or opened.format == "TIFF"
    assert np.array_equal(seen(kept.data), seen(data))
    assert only(kept.data).data == kept.data  # brought once more, it is the same file


def test_deep_pictures_lose_no_bit_with_their_words() -> None:
    data = chatty_tiff("u2")
    assert SECRET.encode() in data
    kept = only(data)
    assert SECRET.encode() not in kept.data
    assert np.array_equal(tifffile.imread(io.BytesIO(kept.data)), tifffile.imread(io.BytesIO(data)))


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def riff(kind: bytes, body: bytes, data: bytes) -> bytes:
    whole = data[12:] + kind + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", len(whole) + 4) + b"WEBP" + whole


WORDS = b"SECRET words"
PNG, WEBP, BMP = (encode(noise(6), kind) for kind in ("PNG", "WEBP", "BMP"))


@pytest.mark.parametrize(
    "data",
    [
        PNG[:33] + chunk(b"caBX", WORDS) + PNG[33:],
        PNG + WORDS,
        riff(b"C2PA", WORDS, WEBP),
        WEBP + WORDS,
        BMP + WORDS,
    ],
    ids=["PNG chunk", "behind PNG", "WebP chunk", "behind WebP", "behind BMP"],
)
def test_words_in_a_place_that_nobody_knows_are_not_kept(data: bytes) -> None:
    assert WORDS in data
    kept = only(data)
    assert WORDS not in kept.data
    assert np.array_equal(seen(kept.data), seen(data))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_a_file_that_says_nothing_is_kept_byte_for_byte(kind: str) -> None:
    data = encode(noise(6), kind)
    assert only(data).data == data


@given(st.binary(max_size=60), st.integers(0, 400))
def test_whatever_stands_in_a_jpeg_the_picture_is_kept_or_refused(junk: bytes, at: int) -> None:
    data = encode(noise(7), "JPEG", exif=talking(6))
    broken = data[:at] + junk + data[at:]
    try:
        before = seen(broken)
        kept = only(broken)
    except UserError:
        return
    assert np.array_equal(seen(kept.data), before)


def test_heic_is_read_upright_and_kept_without_its_words() -> None:
    assert b"SECRET" in HEIC
    kept = only(HEIC)
    assert b"SECRET" not in kept.data
    picture = seen(kept.data)
    assert picture.shape == (96, 64, 3)
    blue, red, green = picture[5, 5], picture[5, -5], picture[-5, -5]
    assert (blue.argmax(), red.argmax(), green.argmax()) == (2, 0, 1)
    with pytest.raises(UserError):
        keep(HEIC[:300])


def pages(kind: str) -> bytes:
    images = [noise(seed) for seed in range(3)]
    options = {"lossless": True} if kind == "WEBP" else {}
    return encode(images[0], kind, save_all=True, append_images=images[1:], **options)


def test_more_pages_than_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pages("TIFF")
    monkeypatch.setattr(depth, "MAX_SERIES", 2 * noise(0).width * noise(0).height)
    with pytest.raises(UserError, match="3 frames, and at most 2 "):
        keep(data, each_frame=True)


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "PNG"])
def test_pages_are_told_of_or_kept_one_by_one(kind: str) -> None:
    data = pages(kind)
    kept = only(data)
    assert [word for word, _ in kept.notices] == ["frames"]
    assert np.array_equal(seen(kept.data), np.asarray(noise(0)))
    each = keep(data, each_frame=True)
    assert [one.frame for one in each] == [1, 2, 3]
    for seed, one in enumerate(each):
        assert np.array_equal(seen(one.data), np.asarray(noise(seed)))
        assert not one.notices


def test_deep_pages_are_kept_with_all_their_bits() -> None:
    out = io.BytesIO()
    values = np.random.default_rng(8).integers(0, 65536, (4, 30, 20), dtype=np.uint16)
    tifffile.imwrite(out, values, photometric="minisblack")
    each = keep(out.getvalue(), each_frame=True)
    assert np.array_equal(np.stack([tifffile.imread(io.BytesIO(one.data)) for one in each]), values)


def test_nothing_of_what_was_said_is_in_the_home(home: Path) -> None:
    files = list(TALKERS.values()) + [png(n) for n in range(8)]
    candidates = [Candidate(f"{n}", lambda data=data: data, "ab"[n % 2]) for n, data in enumerate(files)]
    ingest(candidates, "set", Library(home))
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_colours_of_16_bits_in_a_png_lose_half_and_it_is_told() -> None:
    values = np.random.default_rng(9).integers(0, 65536, (20, 30, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", 30, 20, 16, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    )
    kept = only(data)
    assert [kind for kind, _ in kept.notices] == ["depth"]
    assert np.array_equal(seen(kept.data), values >> 8)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "P"])
def test_what_is_transparent_stays_so_when_the_words_go(mode: str) -> None:
    about = PngImagePlugin.PngInfo()
    about.add_text("Author", SECRET)
    hidden: object = (0, 0, 0) if mode == "RGB" else 0
    data = encode(Image.new(mode, (20, 20)), "PNG", pnginfo=about, transparency=hidden)
    kept = only(data)
    assert SECRET.encode() not in kept.data
    assert (seen(data) == 255).all()  # nothing but the white paper behind it
    assert np.array_equal(seen(kept.data), seen(data))
    assert np.array_equal(np.asarray(to_rgb(kept.image, Reading())), seen(data))  # and so in the row
