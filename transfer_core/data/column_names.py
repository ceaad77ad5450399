"""What the name and the cells of a table's column say of its meaning: a label, a group, a site, a person.

English and German, the two languages in which tables were seen. What speaks of a person is told by its name alone: cells
cannot tell, and a name that is missed here is still kept only where its cells look like labels.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

MOST_LABELS = 20  # different values of a further label; what has more is a number, a text or a name
FEWEST_EACH = 3  # times that each value of a further label occurs

PATH_WORDS = (
    "file", "filename", "file_name", "datei", "dateiname", "path", "pfad", "image", "image_path", "bild", "img",
    "name", "id",
)  # fmt: skip
LABEL_WORDS = (
    "label", "class", "klasse", "category", "kategorie", "target", "diagnosis", "diagnose", "dx", "finding", "befund",
    "grade", "grad", "y", "ergebnis", "outcome", "defect", "defekt", "fehler", "type", "typ", "kind",
)  # fmt: skip
GROUP_WORDS = (
    "patient", "person", "proband", "subject", "part", "teil", "bauteil", "module", "modul", "batch", "charge", "los",
    "group", "gruppe", "specimen", "probe", "serial", "seriennummer",
)  # fmt: skip
DOMAIN_WORDS = (
    "domain", "site", "standort", "device", "gerät", "geraet", "scanner", "camera", "kamera", "hospital", "klinik",
    "manufacturer", "hersteller", "machine", "maschine",
)  # fmt: skip
# Stems, because German joins words: Patientennummer, Geburtsdatum, Versichertennr.
_PERSON_STEMS = (
    "patient", "person", "proband", "birth", "geburt", "insur", "versicher", "krankenkasse", "address", "adress",
    "anschrift", "strasse", "straße", "street", "postcode", "postleit", "wohnort", "phone", "telef", "mobil", "email",
    "vorname", "nachname", "surname", "firstname", "lastname", "forename", "fullname", "familienname", "spitzname",
    "physician", "doctor", "radiolog", "patholog", "untersucher", "befunder", "operator", "inspector", "employee",
    "mitarbeiter", "customer", "kunde",
)  # fmt: skip
_PERSON_WORDS = {
    "pat", "pid", "mrn", "ssn", "svnr", "dob", "gebdat", "plz", "zip", "tel", "mail", "handy", "arzt", "ärztin", "aerztin",
    "subject", "client", "klient", "reader", "user", "owner",
}  # fmt: skip
_NAMED_THINGS = {
    "file", "datei", "image", "img", "bild", "class", "klasse", "label", "category", "module", "modul", "part", "teil",
    "batch", "device", "gerät", "geraet", "site", "product", "produkt", "scanner", "camera", "kamera", "machine",
    "maschine", "domain", "defect", "variety", "species", "folder", "path",
}  # fmt: skip


def split_words(name: str) -> list[str]:
    """Return the words of a column's name, in lower case: "PatientID" and "patient_id" are the same two."""
    apart = re.sub(r"(?<=[a-zäöüß])(?=[A-ZÄÖÜ])", " ", name)
    return [each for each in re.split(r"[\W_]+", apart.lower()) if each]


def rank(name: str, words: Sequence[str]) -> int:
    """Return how well a name fits usual ones, the first the best; 0 where not at all. All of it counts before a part."""
    whole = name.strip().lower()
    if whole in words:
        return 2 * len(words) - words.index(whole)
    places = [words.index(each) for each in split_words(name) if each in words]
    return len(words) - min(places) if places else 0


def names_person(name: str) -> bool:
    """Tell whether a column's name speaks of a person: who it is, or how to find them."""
    own = split_words(name)
    together = "".join(own)
    if any(stem in together for stem in _PERSON_STEMS) or _PERSON_WORDS & set(own):
        return True
    speaks_of_name = any(each in ("name", "names", "namen") for each in own)
    return speaks_of_name and not _NAMED_THINGS & set(own)


def is_like_label(cells: Sequence[str]) -> bool:
    """Tell whether cells could be a further label: few different values, each of them several times."""
    counts = Counter(cell for cell in cells if cell)
    return 2 <= len(counts) <= MOST_LABELS and min(counts.values()) >= FEWEST_EACH
