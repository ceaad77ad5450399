"""Which columns speak of a person, in the languages in which tables come; a name that is missed would be stored."""

from __future__ import annotations

import pytest

from transfer_core.data.column_names import is_like_label, names_person

PERSONS = """Name|NAME|Nachname|Vorname|last_name|firstName|Patient|PatientID|patient name|Pat-Nr|Patientennummer|Geburtsdatum
birth_date|DOB|Adresse|Home address|Straße|PLZ|Telefon|phone number|Tel.|E-Mail|insurance no|Versichertennr|MRN|SSN|Person
Probanden-ID|subject|Arzt|radiologist|Krankenkasse|Wohnort|Kundenname|customer"""
THINGS = """file_name|Dateiname|image name|ClassName|Befund|diagnosis|grade|module|Modulname|batch|Charge|part_id|Gerät|device name
site|scanner|view|side|colour|age|sex|telescope|type|id|date|wavelength"""


@pytest.mark.parametrize("name", PERSONS.replace("\n", "|").split("|"))
def test_a_person_is_known_by_the_name(name: str) -> None:
    assert names_person(name)


@pytest.mark.parametrize("name", THINGS.replace("\n", "|").split("|"))
def test_a_thing_is_no_person(name: str) -> None:
    assert not names_person(name)


@pytest.mark.parametrize(
    ("cells", "is_label"),
    [
        (["a", "b"] * 3, True),
        (["a", "b", ""] * 3, True),
        (["a"] * 9, False),  # says nothing
        (["a", "b"] * 3 + ["c"], False),  # a value of its own may be a name
        ([str(n % 20) for n in range(60)], True),
        ([str(n % 21) for n in range(63)], False),
        ([], False),
    ],
)
def test_labels_are_few_and_come_again(cells: list[str], is_label: bool) -> None:
    assert is_like_label(cells) == is_label
