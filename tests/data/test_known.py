"""Finding, downloading and unpacking: a whole dataset or a message that says what to do."""

import errno
import gc
import gzip
import io
import shutil
import sys
import tarfile
import threading
import tracemalloc
import types
import zipfile
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from polyp.data import archive as archives
from polyp.data import known
from polyp.data.archive import unpack
from polyp.data.images import write_png
from polyp.data.known import DATASETS, KnownDataset, find_dataset, get_dataset
from polyp.data.pairs import find_pairs, found_in, read_centres, read_sequences
from polyp.disk import make_folder
from polyp.errors import DataError, UsageError

COUNT = 3  # pairs in the small stand-ins for Kvasir-SEG and CVC-ClinicDB


def write_pairs(folder: Path, frames=("1", "2", "10"), images="images", masks="masks", suffix=".png") -> Path:
    random = np.random.default_rng(0)
    make_folder(folder / images), make_folder(folder / masks)
    for frame in frames:
        write_png(folder / images / f"{frame}{suffix}", random.integers(0, 256, (8, 10, 3), dtype=np.uint8))
        write_png(folder / masks / f"{frame}.png", 255 * random.integers(0, 2, (8, 10), dtype=np.uint8))
    return folder


def write_frame(path: Path) -> Path:
    make_folder(path.parent)
    return write_png(path, np.random.default_rng(1).integers(0, 256, (8, 10, 3), dtype=np.uint8))


def error_of(function, *arguments, kind=DataError) -> str:
    with pytest.raises(kind) as caught:
        function(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def tree(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    """An empty project to work in: nothing in data/, no POLYP_DATA, small datasets under known names."""
    folder = make_folder(tmp_path / "project – ü")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("POLYP_DATA", raising=False)
    for name, count in {"cvc-clinicdb": COUNT + 1, "kvasir-seg": COUNT}.items():
        monkeypatch.setitem(DATASETS, name, DATASETS[name]._replace(pairs=count))
    return folder


# --- A folder of pairs ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images", "masks"),
        ("Images", "MASKS"),
        ("Original", "Ground Truth"),
        ("PNG/Original", "PNG/Ground Truth"),
        ("png/images", "png/masks"),
        ("TIF/Original", "TIF/Ground Truth"),
    ],
)
def test_pairs_are_found_in_natural_order(tmp_path, images, masks):
    folder = write_pairs(tmp_path / "a b ü", images=images, masks=masks)
    pairs = find_pairs(folder)
    assert [pair.frame for pair in pairs] == ["1", "2", "10"]
    assert pairs[2].image == folder / images / "10.png"
    assert pairs[2].mask == folder / masks / "10.png"


def test_a_frame_and_its_mask_may_differ_in_format(tmp_path):
    pairs = find_pairs(write_pairs(tmp_path, suffix=".jpg"))
    assert {(pair.image.suffix, pair.mask.suffix) for pair in pairs} == {(".jpg", ".png")}


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        *(("image", "label"), ("imgs", "gts"), ("images", "GT"), ("frames", "segmentations")),
        *(("imagesTr", "labelsTr"), ("images", "mask"), ("Image", "Ground_Truth")),
    ],
)
def test_layouts_that_people_have(tmp_path, images, masks):
    folder = write_pairs(tmp_path, images=images, masks=masks)
    (folder / "sequences.csv").write_text("frame,sequence\n1,1\n2,1\n10,2\n")
    pairs = find_pairs(folder)
    assert [(pair.image.parent.name, pair.mask.parent.name) for pair in pairs] == [(images, masks)] * COUNT
    assert read_sequences(folder) == {"1": 1, "2": 1, "10": 2}


def test_what_was_found_is_said(tmp_path):
    assert found_in(write_pairs(tmp_path / "a")) == ""
    assert (
        found_in(write_pairs(tmp_path / "b", images="Imgs", masks="gts")) == "frames in Imgs/, masks in gts/"
    )
    (tmp_path / "c").mkdir()
    for name in ("1.png", "1_mask.png"):
        write_frame(tmp_path / "c" / name)
    assert "told apart by the masks' names" in found_in(tmp_path / "c")
    assert found_in(tmp_path / "gone") == ""


def test_images_and_masks_go_before_other_names(tmp_path):
    write_pairs(tmp_path, images="image", masks="label")
    write_pairs(tmp_path)
    assert {(pair.image.parent.name, pair.mask.parent.name) for pair in find_pairs(tmp_path)} == {
        ("images", "masks")
    }


@pytest.mark.parametrize("ending", ["_mask", "_GT", "-mask", "_segmentation"])
@pytest.mark.parametrize("place", ["masks", "images"])
def test_masks_may_have_an_ending_even_beside_their_frames(tmp_path, ending, place):
    write_pairs(tmp_path)
    for frame in ("1", "2", "10"):
        (tmp_path / "masks" / f"{frame}.png").rename(tmp_path / place / f"{frame}{ending}.png")
    folder = tmp_path if place == "masks" else tmp_path / "images"
    (folder / "sequences.csv").write_text("frame,sequence\n1,1\n2,1\n10,2\n")
    assert [(pair.frame, pair.mask.name) for pair in find_pairs(folder)] == [
        (frame, f"{frame}{ending}.png") for frame in ("1", "2", "10")
    ]
    assert read_sequences(folder) == {"1": 1, "2": 1, "10": 2}


def test_an_ending_that_some_masks_lack_is_no_ending(tmp_path):
    write_pairs(tmp_path)
    (tmp_path / "masks" / "2.png").rename(tmp_path / "masks" / "2_mask.png")
    assert "without mask (2.png)" in error_of(find_pairs, tmp_path)


def test_png_comes_before_tif(tmp_path):
    for kind in ("TIF", "PNG"):
        write_pairs(tmp_path / kind, images="Original", masks="Ground Truth")
    assert find_pairs(tmp_path)[0].image == tmp_path / "PNG" / "Original" / "1.png"


def test_no_folder_no_dataset_no_images(tmp_path):
    assert error_of(find_pairs, tmp_path / "missing") == f"{tmp_path / 'missing'}: no such folder"
    assert "expected the folders images/ and masks/" in error_of(find_pairs, tmp_path)
    write_pairs(tmp_path, frames=())
    assert f"{tmp_path}: contains no images" in error_of(find_pairs, tmp_path)


@pytest.mark.parametrize(
    ("emptied", "missing"),
    [("masks", "images: 4 of 5 without mask"), ("images", "masks: 4 of 5 without image")],
)
def test_a_file_without_its_partner_is_named(tmp_path, emptied, missing):
    write_pairs(tmp_path, frames="abcde")
    for frame in "abcd":
        (tmp_path / emptied / f"{frame}.png").unlink()
    assert f"{missing} (a.png, b.png, c.png and 1 more); add each" in error_of(find_pairs, tmp_path)


@pytest.mark.parametrize("place", ["images", "masks"])
def test_two_files_of_one_stem_are_named(tmp_path, place):
    write_pairs(tmp_path)
    shutil.copy(tmp_path / place / "2.png", tmp_path / place / "2.jpg")
    assert f"{place}: 2.jpg and 2.png share a stem; keep one file per frame" in error_of(find_pairs, tmp_path)


# --- sequences.csv -------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["", "PNG"])
@pytest.mark.parametrize("opened", ["", "PNG"])
def test_sequences_are_read_next_to_the_frames_or_to_png(tmp_path, place, opened):
    write_pairs(tmp_path / "PNG")
    (tmp_path / place / "sequences.csv").write_text("\ufeffframe,sequence\n1,1\n2,1\n\n010,2\n", "utf-8")
    assert read_sequences(tmp_path / opened) == {"1": 1, "2": 1, "010": 2}


def test_a_frame_may_be_called_like_a_missing_value(tmp_path):
    write_pairs(tmp_path, ("NA", "nan", "1.0"))
    (tmp_path / "sequences.csv").write_text("frame,sequence\nNA,1\nnan, 2\n1.0,3\n")
    assert read_sequences(tmp_path) == {"NA": 1, "nan": 2, "1.0": 3}


def test_labels_may_be_names_and_negatives_name_their_own(tmp_path):
    write_pairs(tmp_path)
    write_frame(tmp_path / "negatives" / "seq7__01.png")
    write_frame(tmp_path / "negatives" / "other.png")
    assert read_sequences(tmp_path) == {"seq7__01": "seq7"}
    (tmp_path / "sequences.csv").write_text("frame,sequence\n1,A\n2,7\n")
    (tmp_path / "centres.csv").write_text("frame,centre\n1,C1\n2,C2\n")
    assert read_sequences(tmp_path) == {"1": "A", "2": "7", "seq7__01": "seq7"}
    assert read_centres(tmp_path) == {"1": "C1", "2": "C2"}


def test_frames_without_a_polyp_need_no_mask(tmp_path):
    write_pairs(tmp_path)
    count = len(find_pairs(tmp_path))
    file = write_frame(tmp_path / "negatives" / "clean.png")
    *pairs, last = find_pairs(tmp_path)
    assert len(pairs) == count
    assert all(pair.mask for pair in pairs)
    assert (last.frame, last.image, last.mask) == ("clean", file, None)
    write_frame(tmp_path / "negatives" / f"{pairs[0].frame}.png")
    assert "two frames of one name" in error_of(find_pairs, tmp_path)


def test_sequences_may_be_missing(tmp_path):
    assert read_sequences(write_pairs(tmp_path)) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected that header"),
        ("name,video\n1,1\n", "the first line is not 'frame,sequence'"),
        ("frame,sequence\n1\n", "line 2: '1'; expected a frame and its sequence"),
        ("frame,sequence\n1,1\n2, \n", "line 3: '2, '; expected a frame and its sequence"),
        ("frame,sequence\n1,1\n2,1\n1,2\n", "line 4: frame '1' is listed twice"),
        ("frame,sequence\n\n1,1,5\n", "line 3: '1,1,5'; expected a frame and its sequence"),
        ("frame,sequence\n,1\n", "line 2: ',1'; expected a frame and its sequence"),
        ("frame,sequence\n1,1\n1,1,1,1\n", "Expected 3 fields in line 3, saw 4"),
        ("frame,sequence\nÄ,1\n".encode("latin-1"), "save it as CSV in UTF-8"),
    ],
)
def test_a_wrong_table_of_sequences(tmp_path, text, message):
    write_pairs(tmp_path)
    (tmp_path / "sequences.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    error = error_of(read_sequences, tmp_path)
    assert error.startswith(str(tmp_path / "sequences.csv"))
    assert message in error


# --- find_dataset --------------------------------------------------------------------------------


def test_any_folder_is_a_dataset(tmp_path):
    assert find_dataset(str(tmp_path)) == tmp_path


def test_a_misspelt_table(tmp_path):
    (tmp_path / "pairs.csv").write_text("image,mask\n")
    assert f"did you mean '{tmp_path / 'pairs.csv'}'?" in error_of(
        find_dataset, str(tmp_path / "pairs.cvs"), kind=UsageError
    )


def test_the_path_then_the_variable_then_the_project(tmp_path, project, monkeypatch):
    mine, other = write_pairs(tmp_path / "mine"), write_pairs(tmp_path / "shelf" / "Kvasir-SEG").parent
    here = write_pairs(project / "data" / "kvasir-seg")
    assert find_dataset("kvasir-seg") == here
    monkeypatch.setenv("POLYP_DATA", str(other))
    assert find_dataset("kvasir-seg") == other / "Kvasir-SEG"
    assert find_dataset("kvasir-seg", mine) == mine
    assert find_dataset("kvasir-seg", other) == other / "Kvasir-SEG"
    assert "contains no dataset" in error_of(find_dataset, "kvasir-seg", make_folder(tmp_path / "empty"))


def test_the_variable_may_be_the_dataset_but_never_another_one(tmp_path, monkeypatch):
    folder = write_pairs(tmp_path / "some")
    monkeypatch.setenv("POLYP_DATA", str(folder))
    assert find_dataset("kvasir-seg") == folder
    assert f"(POLYP_DATA={folder} is kvasir-seg)" in error_of(find_dataset, "cvc-clinicdb")
    monkeypatch.setitem(DATASETS, "kvasir-seg", DATASETS["kvasir-seg"]._replace(pairs=COUNT + 5))
    assert f"holds {COUNT} pairs, not {COUNT + 1}" in error_of(find_dataset, "cvc-clinicdb")


def test_a_relative_variable_holds_in_the_notebooks_folder_too(tmp_path, project, monkeypatch):
    """Set in the checkout's top, where it is meant to hold; JupyterLab and nbval run in `notebooks/`."""
    folder = write_pairs(tmp_path / "shared")
    (project / "pyproject.toml").touch()
    make_folder(project / "polyp")
    monkeypatch.setenv("POLYP_DATA", "../shared")
    monkeypatch.chdir(make_folder(project / "notebooks" / "deeper"))
    assert find_dataset("kvasir-seg").resolve() == folder.resolve()


def test_a_variable_that_leads_nowhere_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("POLYP_DATA", str(tmp_path / "gone"))
    assert "gone: no such folder; correct the variable or unset it" in error_of(find_dataset, "kvasir-seg")


@pytest.mark.parametrize("name", [name for name, d in DATASETS.items() if d.pairs and not d.packaged])
def test_a_dataset_that_is_not_there(name):
    error = error_of(find_dataset, name)
    assert (f"run `polyp data get {name}`, or" in error) == bool(DATASETS[name].fetch)
    assert DATASETS[name].page in error
    assert f"`polyp data get {name} --archive FILE`" in error
    assert "POLYP_DATA" in error


@pytest.mark.parametrize("function", [find_dataset, get_dataset])
def test_a_misspelt_name(function):
    assert "did you mean 'kvasir-seg'?" in error_of(function, "Kvasir_SEG", kind=UsageError)
    assert "choose one of: synthetic, " in error_of(function, "", kind=UsageError)


def test_two_folders_at_once(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    assert "two folders; give one" in error_of(find_dataset, tmp_path, other, kind=UsageError)
    assert find_dataset(tmp_path, f"{tmp_path}/.") == tmp_path  # one, by two names


def test_synthetic_is_made_in_the_project(tmp_path, project, monkeypatch):
    def write_dataset(folder, **options):
        assert options == {"seed": 0, "sequences": 12, "frames": 10}
        return write_pairs(folder)

    monkeypatch.setitem(
        sys.modules, "polyp.data.synthetic", types.SimpleNamespace(write_dataset=write_dataset)
    )
    monkeypatch.setenv("POLYP_DATA", str(write_pairs(tmp_path / "shelf")))
    assert find_dataset("synthetic") == get_dataset("synthetic") == project / "data" / "synthetic"
    assert list((project / "data").iterdir()) == [project / "data" / "synthetic"]
    assert len(tree(project)) == 2 * COUNT
    theirs = write_pairs(tmp_path / "shelf" / "synthetic")
    assert find_dataset("synthetic") == theirs
    assert "generated, not unpacked" in error_of(get_dataset, "synthetic", "a.zip", kind=UsageError)


# --- Archives ------------------------------------------------------------------------------------


def pack(archive: Path, folder: Path) -> Path:
    kind = {".zip": "zip", ".tar": "tar", ".gz": "gztar"}[archive.suffix]
    base = archive.with_name(archive.name.split(".")[0])
    return Path(shutil.make_archive(str(base), kind, folder))


def zip_of(path: Path, *members: tuple[zipfile.ZipInfo | str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return path


def tar_of(path: Path, **fields) -> Path:
    info = tarfile.TarInfo("images/1.png")
    for name, value in fields.items():
        setattr(info, name, value)
    with tarfile.open(path, "w") as file:
        file.addfile(info, io.BytesIO(bytes(info.size)))
    return path


def assert_refused(archive: Path, message: str, project: Path) -> None:
    """The archive is named with the reason, and neither the dataset nor litter is there afterwards."""
    error = error_of(unpack, archive, project / "data" / "new")
    assert error.startswith(str(archive))
    assert message in error
    assert tree(project) == set()
    assert list((project / "data").glob("*")) == []


@pytest.mark.parametrize("suffix", [".zip", ".tar", ".tar.gz"])
def test_an_archive_is_unpacked(tmp_path, project, suffix):
    folder = write_pairs(tmp_path / "a")
    (make_folder(folder / "__MACOSX") / "._1.png").write_bytes(b"x")
    archive = pack(tmp_path / f"a{suffix}", folder)
    target = unpack(archive, project / "data" / "new")
    assert tree(target) == {path for path in tree(folder) if "__MACOSX" not in path}
    assert (target / "images" / "1.png").read_bytes() == (folder / "images" / "1.png").read_bytes()
    assert list((project / "data").iterdir()) == [target]
    assert "exists already" in error_of(unpack, archive, target)


UNSAFE = [
    "../evil.png",
    "images/../../evil.png",
    "/evil.png",
    "C:/evil.png",
    "..\\evil.png",
]


def test_names_with_backslashes_as_some_windows_programs_pack_them(tmp_path, project):
    archive = tmp_path / "a.zip"
    zip_of(archive, ("images/1.png", b"x"), ("images\\2.png", b"x"))
    assert_refused(archive, "unpack it by hand and zip it again", project)


@pytest.mark.parametrize("name", UNSAFE)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_no_member_leaves_the_folder(tmp_path, project, name, kind):
    archive = tmp_path / f"a.{kind}"
    if kind == "zip":
        zip_of(archive, ("images/1.png", b"x"), (name, b"x"))
    else:
        tar_of(archive, name=name, size=1)
    assert_refused(archive, "leads out of the folder; do not trust it", project)
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_no_links_or_devices_in_a_tar(tmp_path, project, kind):
    archive = tar_of(tmp_path / "a.tar", type=kind, linkname="/etc/passwd")
    assert_refused(archive, "'images/1.png' is a link or a device", project)


def test_no_links_in_a_zip(tmp_path, project):
    link = zipfile.ZipInfo("images/1.png")
    link.external_attr = 0o120777 << 16
    assert_refused(zip_of(tmp_path / "a.zip", (link, b"/etc/passwd")), "is a link or a device", project)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_bomb_is_refused_before_anything_is_unpacked(tmp_path, project, monkeypatch, kind):
    monkeypatch.setattr(archives, "MAX_UNPACKED", 2_000_000)
    content = bytes(1_100_000)  # one fits, two do not
    if kind == "zip":
        archive = zip_of(tmp_path / "a.zip", ("1.png", content), ("2.png", content))
    else:
        archive = tar_of(tmp_path / "a.tar", size=2_200_000)
    assert_refused(archive, "unpacks to over 2000000 bytes", project)


def test_a_zip_whose_headers_lie_unpacks_to_no_more_than_they_declare(tmp_path, project):
    archive = zip_of(tmp_path / "a.zip", ("1.png", bytes(5_000_000)))
    data = archive.read_bytes()
    archive.write_bytes(data.replace((5_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    assert_refused(archive, "damaged or encrypted archive (Bad CRC-32", project)


def test_no_member_twice(tmp_path, project):
    with pytest.warns(UserWarning, match="Duplicate name"):
        archive = zip_of(tmp_path / "a.zip", ("images/1.png", b"x"), ("images/1.png", b"y"))
    assert_refused(archive, "lists 'images/1.png' twice", project)
    archive = zip_of(tmp_path / "b.zip", ("images/1.png", b"x"), ("images/./1.png", b"y"))
    assert_refused(archive, "lists 'images/./1.png' twice", project)
    # on many systems these are one file
    archive = zip_of(tmp_path / "c.zip", ("images/a.png", b"1"), ("IMAGES/A.png", b"2"))
    assert_refused(archive, "lists 'IMAGES/A.png' twice", project)
    archive = zip_of(tmp_path / "d.zip", ("images/\u00e9.png", b"1"), ("images/e\u0301.png", b"2"))
    assert_refused(archive, "twice", project)


def test_an_encrypted_zip(tmp_path, project):
    archive = zip_of(tmp_path / "a.zip", ("1.png", b"x" * 99))
    data = bytearray(archive.read_bytes())
    for start in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[start] |= 1  # "encrypted" among the flags of the local header and of the directory
    archive.write_bytes(data)
    assert_refused(archive, "is encrypted, password required", project)


def test_too_many_members(tmp_path, project, monkeypatch):
    monkeypatch.setattr(archives, "MAX_MEMBERS", 5)
    archive = zip_of(tmp_path / "a.zip", *((f"{i}.png", b"") for i in range(6)))
    assert_refused(archive, "more than 5 members", project)


def test_a_folder_of_a_known_name_in_the_working_folder_is_hinted_at(tmp_path, project, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pairs(tmp_path / "cvc-clinicdb")
    with pytest.raises(DataError, match=r"not found; did you mean the folder ./cvc-clinicdb\?; "):
        find_dataset("cvc-clinicdb")
    assert find_dataset("./cvc-clinicdb") == Path("cvc-clinicdb")


def test_a_zip_whose_list_of_members_would_fill_the_memory(tmp_path, project, monkeypatch):
    monkeypatch.setattr(archives, "MAX_DIRECTORY", 300)
    archive = zip_of(tmp_path / "a.zip", *((f"{i}.png", b"") for i in range(6)))
    assert_refused(archive, "more than 100000 members", project)
    # nor is it hidden by what looks like a 64-bit record somewhere before
    archive.write_bytes(b"PK\x06\x06" + bytes(100) + archive.read_bytes())
    assert_refused(archive, "more than 100000 members", project)
    archive = zip_of(tmp_path / "b.zip", *((f"{i}.png", b"") for i in range(5)))
    monkeypatch.setattr(archives, "MAX_DIRECTORY", 5 * (46 + 5))  # each 46 bytes and its name
    unpack(archive, tmp_path / "b")


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("kind", archives.LONG_NAMES)
def test_a_tar_that_announces_a_huge_name(tmp_path, project, kind, first):
    """Some kilobytes that unpack to gigabytes of header, at the beginning or after a good member."""
    header = tarfile.TarInfo("long")
    header.type, header.size = kind, 3 * 2**30
    good = tarfile.TarInfo("1.png")
    good.size = 4
    before = b"" if first else good.tobuf() + b"abcd" + bytes(508)
    with gzip.open(tmp_path / "a.tar.gz", "wb") as file:
        file.write(before + header.tobuf(tarfile.GNU_FORMAT) + bytes(2**20))
    tracemalloc.start()
    assert_refused(tmp_path / "a.tar.gz", "damaged or encrypted archive (a header of kind", project)
    assert tracemalloc.get_traced_memory()[1] < 50 * 2**20
    tracemalloc.stop()


def test_archives_that_cannot_be_read(tmp_path, project):
    (project / "data").mkdir()
    archive = pack(tmp_path / "a.tar.gz", write_pairs(tmp_path / "a"))
    archive.write_bytes(archive.read_bytes()[:-100])
    assert_refused(archive, "damaged or encrypted archive", project)
    damaged = zip_of(tmp_path / "c.zip", ("1.png", b"x" * 99))
    data = bytearray(damaged.read_bytes())
    data[14] ^= 1  # the checksum in the local header and, below, in the directory
    data[data.index(b"PK\x01\x02") + 16] ^= 1
    damaged.write_bytes(data)
    assert_refused(damaged, "damaged or encrypted archive (Bad CRC-32", project)
    (tmp_path / "d.rar").write_bytes(b"Rar!\x1a\x07\x01\x00")
    assert_refused(tmp_path / "d.rar", "unpack it by hand and repack it as zip", project)
    assert_refused(tmp_path / "gone.zip", "no such file; expected a zip or tar archive", project)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_an_interrupt_or_a_full_disk_leaves_nothing(tmp_path, project, monkeypatch, error):
    archive = pack(tmp_path / "a.zip", write_pairs(tmp_path / "a"))
    copy, copied = shutil.copyfileobj, []

    def cut_short(source, target, *length):  # by which zipfile writes each member
        if len(copied) == 4:
            raise error
        copied.append(copy(source, target, *length))

    monkeypatch.setattr(shutil, "copyfileobj", cut_short)
    with pytest.raises((KeyboardInterrupt, DataError)) as caught:
        unpack(archive, project / "data" / "new")
    if isinstance(error, OSError):
        assert "new: could not be written (No space left on device); nothing is left" in str(caught.value)
    assert len(copied) == 4
    assert list((project / "data").iterdir()) == []


# --- get_dataset ---------------------------------------------------------------------------------


@pytest.mark.parametrize("nested", ["", "Kvasir-SEG", "a/b/Kvasir-SEG"])
def test_an_archive_downloaded_by_hand(tmp_path, project, nested):
    write_pairs(tmp_path / "a" / nested)
    target = get_dataset("kvasir-seg", pack(tmp_path / "a.zip", tmp_path / "a"))
    assert target == project / "data" / "kvasir-seg" == find_dataset("kvasir-seg")
    assert len(find_pairs(target)) == COUNT
    assert list(target.parent.iterdir()) == [target]
    assert tree(target) == tree(tmp_path / "a" / nested)  # no archive, no folder to work in
    assert get_dataset("kvasir-seg") == target  # there already: no download


def test_an_archive_that_holds_something_else(tmp_path, project):
    def refused(folder):
        archive = pack(tmp_path / f"{folder.name}.zip", folder)
        error = error_of(get_dataset, "kvasir-seg", archive)
        assert list((project / "data").iterdir()) == []
        return error

    assert f"2 pairs in the archive, expected {COUNT}; download" in refused(write_pairs(tmp_path / "a", "12"))
    assert "no frames and masks in " in refused(make_folder(tmp_path / "b"))
    broken = write_pairs(tmp_path / "c")
    (broken / "images" / "2.png").write_bytes(b"")
    assert "2.png: the file is empty" in refused(broken)
    write_pairs(tmp_path / "d" / "x"), write_pairs(tmp_path / "d" / "y")
    assert "several datasets in it (x, y)" in refused(tmp_path / "d")


def test_a_dataset_that_only_a_person_can_download(tmp_path, project, monkeypatch):
    """A new row is all it takes; no function, since there is nothing to fetch it from."""
    monkeypatch.setitem(DATASETS, "new", KnownDataset(COUNT, "https://example.org/new", None))
    by_hand = "download the archive from https://example.org/new and run `polyp data get new --archive FILE`"
    error = error_of(get_dataset, "new")
    assert by_hand in error
    assert list((project / "data").iterdir()) == []
    error = error_of(find_dataset, "new")
    assert error.startswith(f"new: not found; {by_hand}, or set POLYP_DATA")
    archive = pack(tmp_path / "a.zip", write_pairs(tmp_path / "a"))
    assert get_dataset("new", archive) == find_dataset("new") == project / "data" / "new"


def test_an_empty_folder_in_its_place_is_no_obstacle(tmp_path, project):
    make_folder(project / "data" / "kvasir-seg")
    archive = pack(tmp_path / "a.zip", write_pairs(tmp_path / "a"))
    assert len(find_pairs(get_dataset("kvasir-seg", archive))) == COUNT


def test_what_is_in_the_way_is_not_touched(tmp_path, project):
    target = write_pairs(project / "data" / "kvasir-seg", "1")
    before = tree(target)
    assert "move it away and run this again" in error_of(get_dataset, "kvasir-seg")
    assert tree(target) == before


def test_a_folder_that_cannot_be_written(project, monkeypatch):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "touch", read_only)
    assert "data: cannot write here (Read-only file system)" in error_of(get_dataset, "kvasir-seg")


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A folder served over HTTP on this machine, and its address."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = make_folder(tmp_path / "served")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as running:
        threading.Thread(target=running.serve_forever).start()
        yield folder, f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_kvasir_is_downloaded(tmp_path, project, server, monkeypatch):
    folder, address = server
    write_pairs(tmp_path / "a" / "Kvasir-SEG", suffix=".jpg")
    archive = pack(folder / "kvasir-seg.zip", tmp_path / "a")
    monkeypatch.setattr(known, "KVASIR_URL", f"{address}/{archive.name}")
    monkeypatch.setattr(known, "KVASIR_SHA256", "0" * 64)
    error = error_of(get_dataset, "kvasir-seg")
    assert "does not match the known hash" in error
    assert list((project / "data").iterdir()) == []
    monkeypatch.setattr(known, "KVASIR_SHA256", sha256(archive.read_bytes()).hexdigest())
    target = get_dataset("kvasir-seg")
    assert tree(target) == tree(tmp_path / "a" / "Kvasir-SEG")  # the archive is not kept
    assert list((project / "data").iterdir()) == [target]


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
def test_no_network(project, server, monkeypatch):
    monkeypatch.setattr(known, "KVASIR_URL", f"{server[1]}/gone.zip")
    assert "gone.zip: download failed (HTTPError: 404" in error_of(get_dataset, "kvasir-seg")
    gc.collect()  # pooch leaves the socket of a refused request to the garbage collector, which warns
    monkeypatch.setattr(known, "KVASIR_URL", "http://127.0.0.1:1/kvasir-seg.zip")  # a closed port
    error = error_of(get_dataset, "kvasir-seg")
    assert error.startswith("http://127.0.0.1:1/kvasir-seg.zip: download failed (ConnectionError")
    assert "`polyp data get kvasir-seg --archive FILE`" in error
    assert list((project / "data").iterdir()) == []


def test_clinicdb_comes_from_kaggle_with_its_sequences(tmp_path, project, monkeypatch):
    frames = [str(frame) for frame in range(1, COUNT + 2)]
    for kind in ("PNG", "TIF"):
        write_pairs(tmp_path / "cache", frames, f"{kind}/Original", f"{kind}/Ground Truth")
    asked = []
    kaggle = types.SimpleNamespace(dataset_download=lambda name: asked.append(name) or tmp_path / "cache")
    monkeypatch.setitem(sys.modules, "kagglehub", kaggle)
    target = get_dataset("cvc-clinicdb")
    assert asked == [known.CLINICDB_KAGGLE]
    assert [pair.image.parent.parent.name for pair in find_pairs(target)] == ["PNG"] * (COUNT + 1)
    sequences = read_sequences(target)
    assert (sequences["25"], sequences["26"], sequences["612"]) == (1, 2, 29)
    assert (tmp_path / "cache" / "PNG").is_dir()  # Kaggle's own copy is not ours to move


def test_frames_of_other_names_get_no_clinicdb_videos(tmp_path, project):
    archive = pack(tmp_path / "a.zip", write_pairs(tmp_path / "a", [f"x{i}" for i in range(COUNT + 1)]))
    error = error_of(get_dataset, "cvc-clinicdb", archive)
    assert f"{COUNT + 1} frames of the archive are not in the published dataset (x0, x1, x2 and" in error
    assert list((project / "data").iterdir()) == []


def test_kaggle_is_missing_or_fails(project, monkeypatch):
    def fails(_):
        raise RuntimeError("no\nroute")

    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert 'pip install "polyp-course[kaggle]"' in error_of(get_dataset, "cvc-clinicdb")
    monkeypatch.setitem(sys.modules, "kagglehub", types.SimpleNamespace(dataset_download=fails))
    error = error_of(get_dataset, "cvc-clinicdb")
    assert "download failed (RuntimeError: no route); check the network, or download the archive" in error
    assert list((project / "data").iterdir()) == []
