"""Little pictures drawn from a seed: known labels, two domains, groups that leak and a second label.

For tests, tutorials and benchmarks that must not depend on anybody's images. Twenty classes are five shapes in
four fills. `clean` pictures are crisp ink on plain paper; `photographed` ones look like a hand-held photograph
of such a sheet. A group is a sheet: it fixes paper, stroke, light and, for every class, a pose from which its
pictures differ only a little. Pictures of one sheet on both sides of a split therefore flatter the score.

    python sample_data/shapes.py FOLDER --n 400 --seed 0
"""

import argparse
import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

SHAPES = ("disc", "square", "triangle", "star", "cross")
FILLS = ("solid", "outline", "striped", "dotted")
CLASSES = tuple(f"{shape}-{fill}" for shape in SHAPES for fill in FILLS)
DOMAINS = ("clean", "photographed")
COLOURS = {
    "red": (204, 34, 44),
    "orange": (232, 126, 16),
    "green": (30, 136, 62),
    "blue": (30, 84, 196),
    "violet": (138, 48, 166),
    "black": (34, 34, 38),
}
COLUMNS = ("image", "label", "domain", "group", "colour")

_OVER = 4  # drawn this many times larger and reduced, which gives smooth edges
# Separate streams of random numbers, so that one more draw in one of them does not move the others.
_SHEET, _POSE, _PICTURE, _COLOUR = range(4)

_Point = tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """One picture and everything that is known of it; `name` is unique within a set and has no suffix."""

    image: Image.Image
    label: str
    domain: str
    group: str
    colour: str
    name: str


@dataclass(frozen=True)
class _Sheet:
    """What the pictures of one group share. Lengths are fractions of the picture's side, angles radians."""

    number: int
    domain: str
    paper: np.ndarray  # [3], 0..255
    stroke: float
    pitch: float  # distance between stripes and between dots
    light: float  # brightness changes by this fraction from the middle to the side
    light_angle: float
    exposure: np.ndarray  # [3], brightness and colour of the light
    blur: float
    noise: float  # standard deviation, 0..255

    @property
    def name(self) -> str:
        return f"sheet-{self.number + 1:02d}"


@dataclass(frozen=True)
class _Pose:
    """Where and how a shape stands: fractions of the picture's side, radians."""

    centre: _Point
    radius: float
    angle: float
    fill_angle: float
    tilt: np.ndarray  # [4, 2], by how much the corners of the picture are moved


def draw_shapes(
    n: int,
    *,
    seed: int = 0,
    size: int = 64,
    classes: Sequence[str] = CLASSES,
    domains: Sequence[str] = DOMAINS,
    groups: int = 8,
) -> list[Drawing]:
    """Draw `n` RGB pictures of `size` pixels a side, balanced over classes, domains and colours.

    Counts of any two pairs of class and domain, and of any two colours, differ by one at most; `groups` sheets are
    dealt to the domains in turn, so a group lies within one domain. The first m of n pictures are those of a call
    with n = m, and nothing depends on earlier calls. ValueError for names or numbers that cannot be drawn.
    """
    _check(n, size, classes, domains, groups)
    sheets = [_make_sheet(seed, number, domains[number % len(domains)]) for number in range(groups)]
    return [_draw(seed, size, index, classes, domains, sheets) for index in range(n)]


def write_shapes(folder: Path, n: int, **choices: Any) -> Path:
    """Write what `draw_shapes(n, **choices)` draws as `domain/class/name.png` and `labels.csv`; return `folder`."""
    drawings = draw_shapes(n, **choices)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for each in drawings:
            place = Path(each.domain, each.label, f"{each.name}.png")
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            each.image.save(folder / place)
            writer.writerow((place.as_posix(), each.label, each.domain, each.group, each.colour))
    return folder


def _check(n: int, size: int, classes: Sequence[str], domains: Sequence[str], groups: int) -> None:
    """Refuse what cannot be drawn, and name the remedy."""
    for what, chosen, known in (("class", classes, CLASSES), ("domain", domains, DOMAINS)):
        if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(known):
            raise ValueError(f"choose each {what} once from {', '.join(known)}; got {', '.join(chosen)}")
    if groups < len(domains):
        raise ValueError(f"every domain needs a group of its own: at least {len(domains)}, got {groups}")
    if n < 0 or size < 16:
        raise ValueError(f"n must be at least 0 and size at least 16 pixels; got {n} and {size}")


def _draw(
    seed: int, size: int, index: int, classes: Sequence[str], domains: Sequence[str], sheets: Sequence[_Sheet]
) -> Drawing:
    """Draw picture number `index`: classes change fastest, then domains, then sheets."""
    repeat, cell = divmod(index, len(classes) * len(domains))
    domain, position = domains[cell // len(classes)], cell % len(classes)
    label = classes[position]
    own = [sheet for sheet in sheets if sheet.domain == domain]
    sheet = own[(repeat + position) % len(own)]  # moved on by the class: a short list still has every sheet
    key = (sheet.number, CLASSES.index(label))
    rng = np.random.default_rng([seed, _PICTURE, *key, repeat])
    pose = _make_pose(np.random.default_rng([seed, _POSE, *key]), rng, domain)
    colour = _pick_colour(seed, index)
    ink = np.asarray(COLOURS[colour]) + rng.uniform(-10, 10, 3)
    mask = _make_mask(label, pose, sheet, size)
    pixels = _print(mask, ink, sheet) if domain == "clean" else _photograph(mask, ink, sheet, rng)
    image = Image.fromarray(_to_bytes(pixels))
    return Drawing(image, label, domain, sheet.name, colour, f"{domain}-{label}-{repeat + 1:04d}")


def _pick_colour(seed: int, index: int) -> str:
    """Every six pictures have the six colours in an order of their own, independent of class and sheet."""
    turn, place = divmod(index, len(COLOURS))
    return list(COLOURS)[np.random.default_rng([seed, _COLOUR, turn]).permutation(len(COLOURS))[place]]


def _make_sheet(seed: int, number: int, domain: str) -> _Sheet:
    rng = np.random.default_rng([seed, _SHEET, number])
    clean = domain == "clean"
    tone = rng.uniform(240, 255) if clean else rng.uniform(200, 238)
    yellowing = 0 if clean else rng.uniform(4, 20)
    warmth = rng.uniform(-0.1, 0.1)
    return _Sheet(
        number=number,
        domain=domain,
        paper=np.array([tone, tone - yellowing / 3, tone - yellowing]),
        stroke=rng.uniform(0.035, 0.06),
        pitch=rng.uniform(0.105, 0.13),
        light=rng.uniform(0.2, 0.42),
        light_angle=rng.uniform(0, 2 * math.pi),
        exposure=rng.uniform(0.62, 0.95) * np.array([1 + warmth, 1, 1 - warmth]),
        blur=rng.uniform(0.007, 0.014),
        noise=rng.uniform(4, 9),
    )


def _make_pose(shared: np.random.Generator, own: np.random.Generator, domain: str) -> _Pose:
    """Pose of one picture: `shared` gives what all pictures of this class on this sheet have in common."""
    clean = domain == "clean"
    turn, reach, tilt = (0.22, 0.03, 0.0) if clean else (0.7, 0.06, 0.07)
    x, y = shared.uniform(-reach, reach, 2) + own.uniform(-0.015, 0.015, 2)
    return _Pose(
        centre=(0.5 + x, 0.5 + y),
        radius=(shared.uniform(0.35, 0.4) if clean else shared.uniform(0.3, 0.38)) * own.uniform(0.97, 1.03),
        angle=shared.uniform(-turn, turn) + own.uniform(-0.06, 0.06),
        fill_angle=shared.uniform(0, math.pi) + own.uniform(-0.06, 0.06),
        tilt=shared.uniform(-tilt, tilt, (4, 2)) + own.uniform(-tilt, tilt, (4, 2)) / 4,
    )


def _outline(shape: str) -> list[_Point]:
    """Corners of a shape about the origin, the farthest at distance one (y down)."""
    if shape == "cross":
        a, b = 0.3, math.sqrt(1 - 0.3**2)
        quarter = [(a, -b), (a, -a), (b, -a)]
        # A quarter turn takes (x, y) to (-y, x); four of them close the cross.
        turns = [(1, 0, 0, 1), (0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0)]
        return [(p * x + q * y, r * x + s * y) for p, q, r, s in turns for x, y in quarter]
    corners = {"disc": 72, "square": 4, "triangle": 3, "star": 10}[shape]
    start = math.pi / 4 if shape == "square" else -math.pi / 2
    # A disc or square as far out as a star's tips looks too large beside it.
    reach = [1.0, 0.45] if shape == "star" else [0.86] if shape == "disc" else [1.0]
    angles = [start + 2 * math.pi * k / corners for k in range(corners)]
    return [
        (reach[k % len(reach)] * math.cos(a), reach[k % len(reach)] * math.sin(a))
        for k, a in enumerate(angles)
    ]


def _make_mask(label: str, pose: _Pose, sheet: _Sheet, size: int) -> np.ndarray:
    """Share of ink in every pixel, 0..1, [size, size, 1]."""
    shape, fill = label.split("-")
    side = size * _OVER
    cos, sin = math.cos(pose.angle) * pose.radius, math.sin(pose.angle) * pose.radius
    cx, cy = pose.centre
    points = [(side * (cx + cos * x - sin * y), side * (cy + sin * x + cos * y)) for x, y in _outline(shape)]
    inside = Image.new("L", (side, side))
    ImageDraw.Draw(inside).polygon(points, fill=255)
    mask = ImageChops.multiply(inside, _make_fill(fill, pose, sheet, side))
    width = round(sheet.stroke * side)
    ImageDraw.Draw(mask).line([*points, *points[:2]], fill=255, width=width, joint="curve")
    if pose.tilt.any():
        mask = mask.transform(
            mask.size, Image.Transform.PERSPECTIVE, _perspective(pose.tilt, side), Image.Resampling.BILINEAR
        )
    return np.asarray(mask.reduce(_OVER), dtype=np.float32)[..., None] / 255


def _make_fill(fill: str, pose: _Pose, sheet: _Sheet, side: int) -> Image.Image:
    """Pattern over the whole picture, 255 where there is ink."""
    pattern = Image.new("L", (side, side), 255 if fill == "solid" else 0)
    if fill in ("solid", "outline"):
        return pattern
    draw = ImageDraw.Draw(pattern)
    pitch = sheet.pitch * side
    along = np.array([math.cos(pose.fill_angle), math.sin(pose.fill_angle)])
    across = np.array([-along[1], along[0]])
    middle = np.asarray(pose.centre) * side
    steps = np.arange(-math.ceil(0.5 * side / pitch), math.ceil(0.5 * side / pitch) + 1) * pitch
    for step in steps:
        start = middle + step * across
        if fill == "striped":
            draw.line([*(start - side * along), *(start + side * along)], fill=255, width=round(0.42 * pitch))
        else:
            for x, y in start + steps[:, None] * along:
                draw.circle((x, y), 0.3 * pitch, fill=255)
    return pattern


def _perspective(tilt: np.ndarray, side: int) -> list[float]:
    """Eight coefficients with which Pillow takes the picture's corners to corners moved by `tilt`."""
    corners = np.array([(0, 0), (side, 0), (side, side), (0, side)], dtype=float)
    rows, known = [], []
    for (x, y), (u, v) in zip(corners, corners + tilt * side, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        known += [u, v]
    return [float(each) for each in np.linalg.solve(np.array(rows), np.array(known))]


def _print(mask: np.ndarray, ink: np.ndarray, sheet: _Sheet) -> np.ndarray:
    return sheet.paper * (1 - mask) + ink * mask


def _photograph(mask: np.ndarray, ink: np.ndarray, sheet: _Sheet, rng: np.random.Generator) -> np.ndarray:
    """Textured paper under uneven light through a soft, noisy lens, [size, size, 3]."""
    size = len(mask)
    blotches = Image.fromarray(rng.normal(0, 7, (7, 7)).astype(np.float32)).resize((size, size))
    grain = np.asarray(blotches)[..., None] + rng.normal(0, 5, (size, size, 1))
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    angle = sheet.light_angle + rng.uniform(-0.2, 0.2)
    slope = sheet.light * (x * math.cos(angle) + y * math.sin(angle))
    corners = 0.14 * (x**2 + y**2)  # a lens gives less light to the corners
    light = (1 + slope - corners)[..., None] * sheet.exposure * rng.uniform(0.95, 1.05)
    # Ink lets the grain through, and a lens lifts the blacks.
    scene = (_print(mask, ink * 0.85 + 30, sheet) + grain) * light
    soft = Image.fromarray(_to_bytes(scene)).filter(ImageFilter.GaussianBlur(sheet.blur * size))
    return np.asarray(soft, dtype=np.float32) + rng.normal(0, sheet.noise, (size, size, 3))


def _to_bytes(pixels: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def main() -> None:
    """Command line: write a folder of drawings."""
    parser = argparse.ArgumentParser(description="Draw a labelled folder of small pictures.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=400, help="how many pictures")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--groups", type=int, default=8, help="how many sheets, dealt to the domains in turn")
    chosen = parser.parse_args()
    print(write_shapes(chosen.folder, chosen.n, seed=chosen.seed, size=chosen.size, groups=chosen.groups))


if __name__ == "__main__":
    main()
