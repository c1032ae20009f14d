"""What every layout is read into: the frames and masks of one place, whether or not they pair up."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from polyp.data.drawn import DrawnMask
from polyp.data.labels import Label, normal, of_one_type, read_labels

PARTS = ("train", "val", "test")
# What people call the parts, in small letters.
PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
Mask = Path | DrawnMask


@dataclass(frozen=True)
class Listing:
    """The frames of a folder or file, by their names and in order.

    Attributes:
        place: the folder or file.
        found: what was found there, in a few words.
        images: the files of each frame that has a mask, or should have one.
        masks: the masks of each frame; more than one file of a name is a mistake to tell.
        clean: frames without a polyp, name and file.
        parts: train, val or test for each frame, where the place itself says so; else empty.
        given: by what they say (sequence, centre, or any other name), the labels that the place itself gives.
        tables: folders in which `sequences.csv` and the like may lie, each with what its frames' names begin
            with here; the first one that lists a frame counts.
    """

    place: Path
    found: str
    images: dict[str, list[Path]] = field(default_factory=dict)
    masks: dict[str, list[Mask]] = field(default_factory=dict)
    clean: list[tuple[str, Path]] = field(default_factory=list)
    parts: dict[str, str] = field(default_factory=dict)
    given: dict[str, dict[str, Label]] = field(default_factory=dict)
    tables: tuple[tuple[str, Path], ...] = ()

    @property
    def frames(self) -> list[str]:
        """The names of all frames, those without a polyp last."""
        return [*self.images, *(name for name, _ in self.clean)]

    def labels(self, what: str) -> dict[str, Label] | None:
        """The video, hospital or the like of each frame of which it is known; None if of none.

        Raises:
            DataError: see `read_labels`.
        """
        given, listed = self.given.get(what), self.listed(what)
        return listed if given is None else of_one_type({**given, **(listed or {})})

    def listed(self, what: str) -> dict[str, Label] | None:
        """The same from the tables alone."""
        found: dict[str, Label] = {}
        read = [(prefix, read_labels(folder, what)) for prefix, folder in self.tables]
        for prefix, table in read:
            if table and self.parts and not prefix:  # there a frame may be named with its part or without
                bare = ((frame, frame.partition("/")[2]) for frame in self.frames)
                table = {frame: table[key] for frame, key in bare if key in table} | table
            found = {prefix + frame: label for frame, label in (table or {}).items()} | found
        return None if all(table is None for _, table in read) else of_one_type(found)

    def part(self, name: str) -> "Listing":
        """The same as one part of something larger: its frames' names begin with the part's."""
        prefix = f"{name}/"
        frames = dict.fromkeys(self.frames, name)
        return replace(
            self,
            images={prefix + frame: files for frame, files in self.images.items()},
            masks={prefix + frame: masks for frame, masks in self.masks.items()},
            clean=[(prefix + frame, file) for frame, file in self.clean],
            parts={prefix + frame: part for frame, part in frames.items()},
            given={
                what: {prefix + frame: label for frame, label in labels.items()}
                for what, labels in self.given.items()
            },
            tables=tuple((prefix + before, folder) for before, folder in self.tables),
        )


def frame_names(files: Iterable[str]) -> list[str]:
    """Names for files as a table lists them: their stems; where two would be one, the paths."""
    paths = [PurePath(file.replace("\\", "/")) for file in files]
    stems = [path.stem for path in paths]
    if len(set(stems)) < len(stems):
        stems = [_without_suffix(path) if path.name else "" for path in paths]
    return [normal(stem) for stem in stems]


def _without_suffix(path: PurePath) -> str:
    """The path as a name: `..` would lead out of any folder that such a name is written in."""
    parts = ("up" if part == ".." else part for part in path.with_suffix("").parts if part != path.anchor)
    return "/".join(parts)


def several(names: Iterable[object], what: str) -> str:
    """A remark on classes that are all taken for polyp; none where there is but one."""
    found = sorted({str(name) for name in names})
    return f"; its {what} {', '.join(found)} are all taken for polyp" if len(found) > 1 else ""
