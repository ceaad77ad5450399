"""A knob takes what its form, its flag and its JSON give, and nothing outside its bounds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_core.errors import UserError
from transfer_core.knobs import get_knobs, knob, make_from_knobs


@dataclass(frozen=True)
class Settings:
    """One knob of each kind, and a field that is none."""

    epochs: int = knob(5, "Epochs", "How often.", unit="rounds", low=1, high=1000)
    lr: float = knob(0.1, "Learning rate", "How far.", low=0, high=10)
    depth: float = knob(1.0, "Depth", "How deep.", low=-1)
    seed: int = knob(0, "Seed", "Any number.")
    mirror: bool = knob(False, "Mirror", "Turn over.")
    rule: str = knob("image", "Rule", "Which.", choices=("image", "group"))
    note: str = knob("", "Note", "Free text.")
    hidden: int = field(default=7)


KNOBS = {each.name: each for each in get_knobs(Settings)}
all_settings = st.builds(
    Settings,
    epochs=st.integers(1, 1000),
    lr=st.floats(0, 10),
    depth=st.floats(-1, allow_infinity=False, allow_nan=False),
    seed=st.integers(-(2**53), 2**53),
    mirror=st.booleans(),
    rule=st.sampled_from(["image", "group"]),
    note=st.text(),
)


def test_knobs_are_the_described_fields_in_their_order() -> None:
    assert list(KNOBS) == ["epochs", "lr", "depth", "seed", "mirror", "rule", "note"]
    assert [each.type for each in KNOBS.values()] == [int, float, float, int, bool, str, str]
    assert KNOBS["epochs"].default == Settings().epochs
    assert KNOBS["epochs"].unit == "rounds"


@given(all_settings)
def test_values_and_their_texts_give_the_same_settings_back(settings: Settings) -> None:
    values = {name: value for name, value in asdict(settings).items() if name in KNOBS}
    assert make_from_knobs(Settings, values) == settings
    assert make_from_knobs(Settings, {name: str(value) for name, value in values.items()}) == settings


@given(st.sampled_from(list(KNOBS)), st.text() | st.floats() | st.integers() | st.none() | st.booleans() | st.lists(st.integers()))  # fmt: skip
def test_anything_is_parsed_into_its_type_and_bounds_or_refused_in_a_sentence(
    name: str, value: object
) -> None:
    each = KNOBS[name]
    try:
        parsed = each.parse(value)
    except UserError as refused:
        sentence = str(refused)
    else:
        low, high = (
            (-math.inf if each.low is None else each.low),
            (math.inf if each.high is None else each.high),
        )
        assert type(parsed) is each.type
        assert isinstance(parsed, str) or (math.isfinite(parsed) and low <= parsed <= high)
        assert not each.choices or parsed in each.choices
        return
    assert each.label in sentence
    assert f"({name})" in sentence


@pytest.mark.parametrize(("name", "value", "wanted"), [
    *[("lr", each, "a number from 0 to 10") for each in ("nan", math.nan, "inf", "-inf", -0.01, 10.01, 1e9, "", "ten", None, True, [1])],
    *[("epochs", each, "a whole number from 1 to 1000 rounds") for each in (0, 1001, 1.5, "1.5", "1e9", math.nan, "1e999", True)],
    *[("depth", each, "a number of at least -1") for each in (-1.5, "nan", "inf")],
    *[("mirror", each, "yes or no") for each in ("maybe", 2, "", None)],
    *[("rule", each, "one of image, group") for each in ("", "Image", "img", 1, None)],
])  # fmt: skip
def test_what_is_refused_is_told_what_was_wanted(name: str, value: object, wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        make_from_knobs(Settings, {name: value})


@pytest.mark.parametrize(
    ("text", "value"), [("yes", True), ("TRUE", True), ("1", True), ("no", False), ("0", False)]
)
def test_yes_and_no_have_their_usual_words(text: str, value: bool) -> None:
    assert make_from_knobs(Settings, {"mirror": text}).mirror is value


@pytest.mark.parametrize("name", ["epoch", "hidden", "__class__", ""])
def test_an_unknown_name_is_refused_by_naming_the_known_ones(name: str) -> None:
    with pytest.raises(UserError, match="epochs, lr, depth, seed, mirror, rule, note"):
        make_from_knobs(Settings, {"epochs": 3, name: 1})
