"""Tables of labels: what they say reaches the right images, and whatever does not fit is told, row by row."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_core.data.grouping import group_by_path
from transfer_core.data.ingest import Candidate
from transfer_core.data.label_table import Columns, guess_columns, lay_over, read_table
from transfer_core.errors import UserError


def files(*paths: str) -> list[Candidate]:
    return [Candidate(path, lambda: b"", label="folder") for path in paths]


def table(text: str, encoding: str = "utf-8") -> object:
    return read_table(text.encode(encoding))


def labels(candidates: list[Candidate]) -> dict[str, str | None]:
    return {each.path: each.label for each in candidates}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiter_and_encoding_are_found_out(encoding: str, delimiter: str, end: str) -> None:
    rows = [("Datei", "Maß", "Klasse"), ("a.png", "3,5", "Größe;\tx"), ("b.png", "4", "naïve")]
    quoted = end.join(delimiter.join(f'"{cell}"' for cell in row) for row in rows)
    found = read_table(quoted.encode(encoding))
    assert found.columns == rows[0]
    assert found.rows == tuple(rows[1:])
    assert found.delimiter == delimiter


def test_a_cell_may_hold_a_line_break() -> None:
    found = read_table(b'file,note,label\na.png,"two\nlines",x\nb.png,,y\n')
    assert found.column("note") == ["two\nlines", ""]


@pytest.mark.parametrize(
    "data",
    [b"", b"just one line", b"one\ncolumn\n", b"a,a\n1,2\n", b"\x89PNG\r\n\x1a\n\0\0,1\n2,3", b"a,b\n"],
)
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(UserError):
        read_table(data)


@pytest.mark.parametrize(
    ("text", "path", "label"),
    [
        ("image,label\na.png,x\nb.png,y", "image", "label"),
        ("nr,which,diagnosis,age\n1,site/a.png,x,44\n2,site/b.png,y,45", "which", "diagnosis"),
        ("kind,file\nx,a\ny,b", "file", "kind"),  # without suffix
        ("who,sex,finding,f\np1,m,x,A\\site\\a.png\np2,m,y,site\\b.png", "f", "finding"),
        ("Datei;Patient;Name;Befund;Gerät\na.png;p;n;x;g\nb.png;q;m;y;h", "Datei", "Befund"),
        ("file;Diagnose (final);age\na.png;x;4\nb.png;y;5", "file", "Diagnose (final)"),
        ("file,PatientID,what\na.png,1,x\nb.png,2,y", "file", "what"),  # a person is no class
    ],
)
def test_the_columns_are_guessed(text: str, path: str, label: str) -> None:
    columns = guess_columns(table(text), files("site/a.png", "site/b.png"))
    assert (columns.path, columns.label) == (path, label)


def test_a_table_of_other_files_is_refused() -> None:
    with pytest.raises(UserError, match=r"No column.* a\.png was brought; the table says q\.png"):
        guess_columns(table("file,label\nq.png,x\nr.png,y"), files("a.png"))


def test_a_column_that_is_given_as_something_else_is_never_the_class() -> None:
    cells = "\n".join(f"{n}.png;{'xy'[n % 2]};p{n};{'AB'[n // 4]};{'gh'[n // 4]}" for n in range(8))
    found = table(f"Datei;Wert;Patient;Name;Gerät\n{cells}")
    brought = files(*(f"{n}.png" for n in range(8)))
    guessed = guess_columns(found, brought)
    assert (guessed.label, guessed.domain, guessed.group) == ("Wert", "Gerät", "Patient")
    with pytest.raises(UserError, match="Wert, Gerät could") as refused:
        guess_columns(found, brought, domain="")
    assert refused.value.kind == "unclear-column"
    with pytest.raises(UserError, match="Gerät is given twice"):
        lay_over(found, Columns("Datei", "Gerät", domain="Gerät"), brought)


def test_what_the_table_says_goes_where_it_belongs() -> None:
    found = table("file,label,site,module,age\ns/a.png,x,here,p1,44\nb,y,there,p1,\n")
    told, problems = lay_over(
        found, Columns("file", "label", "site", "module", extra=("age",)), files("t/s/a.png", "t/b.png")
    )
    assert not problems
    a, b = told
    assert (a.label, a.domain, a.group, a.extra) == ("x", "here", "p1", {"age": "44"})
    assert (b.label, b.domain, b.group, b.extra) == ("y", "there", "p1", {})


def test_further_columns_are_kept_where_they_look_like_labels_and_name_nobody() -> None:
    names = ("file", "label", "Nachname", "grade", "weight", "remark", "PatientID")
    rows = [(f"{n}.png", "xy"[n % 2], "Müller Meier"[: 6 + n % 2], "123"[n % 3], str(60 + n), "", f"p{n % 3}")
            for n in range(12)]  # fmt: skip
    found = table("\n".join(",".join(row) for row in [names, *rows]))
    brought = files(*(row[0] for row in rows))
    told, _ = lay_over(found, Columns("file", "label"), brought)
    assert [each.extra for each in told] == [{"grade": row[3]} for row in rows]
    told, _ = lay_over(found, Columns("file", "label", extra=("weight",)), brought)
    assert [each.extra for each in told] == [{"weight": row[4]} for row in rows]
    told, _ = lay_over(found, Columns("file", "label", extra=()), brought)
    assert not any(each.extra for each in told)


def test_a_group_that_is_a_person_is_handed_on_as_one() -> None:
    found = table("file,label,Patient,Modul\na.png,x,P100,M1\nb.png,y,P101,M1")
    (a, _), _ = lay_over(found, Columns("file", "label", group="Patient"), files("a.png", "b.png"))
    assert (a.person, a.group) == ("P100", None)
    (a, _), _ = lay_over(found, Columns("file", "label", group="Modul"), files("a.png", "b.png"))
    assert (a.person, a.group) == (None, "M1")


def test_whatever_does_not_fit_is_told_by_its_kind() -> None:
    text = (
        "file,label\na.png,x\na.png,x\nb.png,x\nb.png,y\nc.png,\nmissing.png,x\n/etc/passwd,x\nC:\\x.png,x\n"
        "https://evil/x.png,x\n../../etc/passwd,x\ntwin.png,x\n"
    )
    told, problems = lay_over(
        table(text),
        Columns("file", "label"),
        files("a.png", "b.png", "c.png", "d.png", "p/twin.png", "q/twin.png"),
    )
    assert labels(told) == {
        "a.png": "x",
        "b.png": None,
        "c.png": None,
        "d.png": None,
        "p/twin.png": None,
        "q/twin.png": None,
    }
    assert {each.path: each.claims for each in told if each.claims} == {"b.png": ("x", "y")}
    kinds = Counter(each.kind for each in problems)
    assert kinds == {"conflict": 1, "missing": 1, "outside": 4, "unclear": 1, "not-in-table": 3}


names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)


@given(st.dictionaries(names, names, min_size=2, max_size=20), st.randoms())
def test_the_order_of_rows_means_nothing(said: dict[str, str], shuffle: object) -> None:
    rows = [f"{name}.png,{label}" for name, label in said.items()]
    shuffle.shuffle(rows)  # type: ignore[attr-defined]
    brought = files(*(f"{name}.png" for name in said))
    told, problems = lay_over(table("\n".join(["file,label", *rows])), Columns("file", "label"), brought)
    from unicodedata import normalize

    by_name = Counter(normalize("NFC", name) for name in said)
    if max(by_name.values()) == 1:
        assert not problems
        assert labels(told) == {f"{name}.png": normalize("NFC", label) for name, label in said.items()}


def test_an_unknown_column_is_refused_with_those_there_are() -> None:
    with pytest.raises(UserError, match="has file, label"):
        lay_over(table("file,label\na.png,x"), Columns("file", "label", group="patient"), files("a.png"))


def test_groups_from_paths() -> None:
    brought = files("x/p01_left.png", "y/p01_right.png", "y/p02_left.png", "y/odd.png")
    groups = [each.group for each in group_by_path(brought, r"(p\d+)_")]
    assert groups == ["p01", "p01", "p02", None]
    assert [each.group for each in group_by_path(brought, "^[xy]")] == ["x", "y", "y", "y"]


@pytest.mark.parametrize("pattern", ["(", "nowhere"])
def test_a_pattern_that_is_none_or_matches_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(UserError) as refused:
        group_by_path(files("a/b.png"), pattern)
    assert refused.value.kind == "bad-pattern"
    assert "subpattern" not in str(refused.value)  # the complaint of a programming language helps nobody
