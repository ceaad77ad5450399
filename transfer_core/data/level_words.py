"""What the names of folders say: a part of a split, a mask, an id of a person or thing, a site, no label.

English and German, as in `column_names`. A word counts as a whole word of a name: `training_set` is a part, `trainers` none.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

_SPLIT = {
    "train": "train", "training": "train", "trn": "train", "learn": "train", "fit": "train",
    "val": "val", "valid": "val", "validation": "val", "validate": "val", "dev": "val", "devel": "val",
    "development": "val", "tune": "val", "tuning": "val",
    "test": "test", "testing": "test", "tst": "test", "holdout": "test", "heldout": "test", "eval": "test",
    "evaluation": "test", "unseen": "test",
}  # fmt: skip
_SET = {"set", "sets", "data", "dataset", "split", "part", "partition", "fold", "folder", "subset", "images", "image", "imgs",
        "img", "pictures", "bilder", "daten"}  # fmt: skip
_UNLABELLED = {"unlabelled", "unlabeled", "unlabel", "unannotated", "unlab", "ungelabelt", "unbeschriftet"}
_LABELLED = {"labelled", "labeled", "annotated", "gelabelt", "beschriftet"}
_IMAGES = {"images", "image", "imgs", "img", "pictures", "photos", "bilder", "raw", "original", "originals", "jpg", "jpeg",
           "png", "dicom", "dcm", "tif", "tiff"}  # fmt: skip
_CHUNKS = _IMAGES | {"part", "chunk", "folder", "dir", "volume", "archive"}
_MASKS = {"mask", "masks", "maske", "masken", "groundtruth", "gt", "gts", "segmentation", "segmentations", "seg", "segs",
          "annotation", "annotations", "labelmap", "labelmaps", "contour", "contours"}  # fmt: skip
_NOT_MASKS = {
    "no",
    "not",
    "non",
    "with",
    "without",
    "ohne",
    "mit",
    "kein",
    "keine",
    "incorrect",
    "wearing",
    "worn",
}
_THINGS = {  # of which there are several images
    "patient", "pat", "patienten", "person", "proband", "subject", "subj", "sub", "participant", "volunteer", "case", "fall",
    "donor", "animal", "mouse", "rat", "id", "pid", "mrn", "lesion", "slide", "specimen", "sample", "probe", "wafer", "lot",
    "los", "charge", "module", "modul", "panel", "part", "bauteil", "teil", "unit", "board", "pcb", "plate", "tile", "piece",
    "product", "serial", "sn", "eye", "tooth", "nodule", "tumor", "block", "core",
}  # fmt: skip
_VISITS = {"study", "studie", "series", "serie", "exam", "visit", "session", "scan", "slice", "view", "acquisition", "acq",
           "timepoint", "date", "day", "run", "sequence", "video", "clip", "frame"}  # fmt: skip
_SITES = {
    "site", "hospital", "clinic", "klinik", "center", "centre", "zentrum", "standort", "scanner", "device", "gerät", "geraet",
    "camera", "cam", "kamera", "machine", "maschine", "lab", "labor", "vendor", "manufacturer", "hersteller", "microscope",
    "mikroskop", "line", "linie", "plant", "werk", "factory", "source", "domain", "station",
}  # fmt: skip
_GRADES = {"class", "klasse", "type", "typ", "grade", "grad", "stage", "stadium", "level", "category", "kategorie", "score",
           "birads", "bi", "kl", "label", "gleason", "cluster", "defect", "degree"}  # fmt: skip
_CLASSES = {
    "normal", "abnormal", "benign", "malignant", "healthy", "sick", "diseased", "infected", "uninfected", "ok", "nok", "io",
    "nio", "good", "bad", "defect", "defective", "faulty", "positive", "negative", "pos", "neg", "cancer", "tumor", "tumour",
    "control", "crack", "scratch", "covid", "pneumonia", "yes", "no", "pass", "fail", "intact", "damaged", "gut", "schlecht",
    "gesund", "krank", "gutartig", "bösartig", "functional", "nevus", "melanoma",
}  # fmt: skip
_VIEWS = {"frontal", "lateral", "left", "right", "top", "bottom", "front", "back", "side", "pa", "ap", "cc", "mlo", "axial",
          "coronal", "sagittal", "links", "rechts", "view"}  # fmt: skip
_MAGNIFIED = re.compile(r"(x[ _-]?\d+|\d+[ _-]?x)$", re.IGNORECASE)
_WORDNET = re.compile(r"n\d{8}$")  # what ImageNet calls its classes
_LONG_NUMBER = re.compile(r"\d{4}")
_NUMBER = re.compile(
    r"([0-9a-f]{16,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+(\.\d+){3,})$", re.IGNORECASE
)
MASK_SUFFIX = re.compile(
    r"[ _.-]*(mask|masks|seg|segmentation|groundtruth|ground_truth|gt|annotation|annot|labelmap|label)([ _-]?\d+)?$",
    re.IGNORECASE,
)
LONG = 3  # digits from which a number is more likely an id than a class
MANY = 20  # numbers of whatever length from which they are more likely ids


def words_of(name: str) -> list[str]:
    """Return the words and numbers of a folder's name, in lower case: "TrainSet_2" is train, set, 2."""
    apart = re.sub(r"(?<=[a-zäöüß])(?=[A-ZÄÖÜ])", " ", name)
    return [each.lower() for each in re.findall(r"[^\W\d_]+|\d+", apart)]


def part_of(name: str) -> str | None:
    """Return the part of a split that a name says: train, val or test; None where it says none."""
    words = [each for each in words_of(name) if not each.isdigit()]
    whole = "".join(words)
    for end in ("", *_SET):
        if whole.endswith(end) and (found := _SPLIT.get(whole.removesuffix(end) if end else whole)):
            return found
    found_words = [each for each in words if each in _SPLIT]
    return _SPLIT[found_words[0]] if len(found_words) == 1 and not set(words) - {*_SPLIT, *_SET} else None


def parts_of(names: Iterable[str]) -> dict[str, str]:
    """Return the part that each name says, of those that say one; `chest_train` says one beside `chest_test`."""
    names = list(names)
    found = {name: part for name in names if (part := part_of(name))}
    rests: dict[tuple[str, ...], dict[str, str]] = {}
    for name in names:
        words = words_of(name)
        said = [each for each in words if each in _SPLIT]
        if name not in found and len(said) == 1:
            rest = tuple(each for each in words if each != said[0])
            rests.setdefault(rest, {})[name] = _SPLIT[said[0]]
    return found | {name: part for each in rests.values() if len(each) > 1 for name, part in each.items()}


def is_unlabelled(name: str) -> bool:
    """Tell whether a folder says that its images have no label."""
    words = words_of(name)
    said = _UNLABELLED & set(words) or {"no", "label"} <= set(words) or {"no", "labels"} <= set(words)
    return bool(said) and not set(words) - _UNLABELLED - _SET - {"no", "label", "labels"}


def is_labelled(name: str) -> bool:
    """Tell whether a folder says no more than that its images have a label."""
    words = set(words_of(name))
    return bool(words & _LABELLED) and not words - _LABELLED - _SET


def is_images(name: str) -> bool:
    """Tell whether a folder says no more than that images are in it."""
    return bool(words_of(name)) and not set(words_of(name)) - _IMAGES


def are_chunks(names: Collection[str]) -> bool:
    """Tell whether images were dealt out among these folders for their number alone: images_001, HAM10000_images_part_2."""
    words = [words_of(each) for each in names]
    return (
        len(words) > 1
        and all(own and own[-1].isdigit() and _CHUNKS & set(own) for own in words)
        and len({tuple(own[:-1]) for own in words}) == 1
    )


def says_label(name: str) -> bool:
    """Tell whether a folder could hold drawings that are called labels; it could hold images with a label as well."""
    return words_of(name) in (["label"], ["labels"])


def says_mask(name: str) -> bool:
    """Tell whether a folder's name speaks of masks: drawings beside images, of no class of their own."""
    words = set(words_of(name))
    return bool(words & _MASKS or {"ground", "truth"} <= words) and not words & _NOT_MASKS


def denies_mask(name: str) -> bool:
    """Tell whether a name speaks of things without a mask, so that masks are what the classes are about."""
    words = set(words_of(name))
    return bool(words & _NOT_MASKS and words & _MASKS)


def _are(names: Collection[str], words: set[str]) -> bool:
    """Tell whether nearly all names are one of these words with a number: patient_01, Case 7."""
    fitting = sum(
        bool(words & set(own)) and any(each.isdigit() for each in own) for own in map(words_of, names)
    )
    return bool(names) and fitting >= 0.8 * len(names)


def name_things(names: Collection[str]) -> bool:
    """Tell whether names are ids of persons or things: by their words, or numbers that nobody would call a class."""
    return _are(names, _THINGS) or bool(names and all(_NUMBER.match(each) for each in names))


def name_visits(names: Collection[str]) -> bool:
    """Tell whether names number the examinations of somebody or something."""
    return _are(names, _VISITS)


def name_sites(names: Collection[str]) -> bool:
    """Tell whether names are those of sites or devices."""
    return bool(names) and all(_SITES & set(words_of(each)) for each in names)


def name_views(names: Collection[str]) -> bool:
    """Tell whether names are views or magnifications, of which everything has several."""
    return bool(names) and all(_MAGNIFIED.match(each) or _VIEWS & set(words_of(each)) for each in names)


def name_classes(names: Collection[str]) -> bool:
    """Tell whether one of the names is a usual one for a class."""
    return any((_CLASSES | _GRADES) & set(words_of(each)) for each in names)


def look_numbered(names: Collection[str]) -> bool:
    """Tell whether names could be ids: numbers too long or too many for classes, or one form with running numbers."""
    if len(names) < 3 or name_views(names) or all(_WORDNET.match(each) for each in names):
        return False
    if all(each.isdigit() for each in names):
        return min(map(len, names)) >= LONG or len(names) > MANY
    if any(_GRADES & set(words_of(each)) for each in names):
        return False
    if all(_LONG_NUMBER.search(each) for each in names):
        return True
    shapes = {re.sub(r"\d+", "#", each.lower()) for each in names}
    return all(re.search(r"\d", each) for each in names) and len(shapes) <= max(1, len(names) // 3)
