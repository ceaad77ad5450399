"""From an upload to its reading: at once, or after a question where a table of labels came with the images."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import streamlit as st

from pages.ui.discarding import offer_discard
from pages.ui.state import get_intake, get_lab, go
from pages.ui.text import escape, plural
from pages.ui.uploader import uploader
from transfer_core.data.column_names import names_person
from transfer_core.data.ingest import Candidate
from transfer_core.data.label_table import (
    Columns,
    Table,
    guess_domain,
    guess_group,
    guess_label,
    guess_path,
    lay_over,
    read_table,
    settle,
)
from transfer_core.data.problems import count_problems
from transfer_core.data.sources import check_inside, find_tables, list_folders
from transfer_core.errors import UserError
from transfer_core.files import get_roots
from transfer_core.runs.intake import Contents, look_into
from transfer_core.runs.unread import Unread, discard_upload, mark_whole, set_aside, set_aside_as
from transfer_core.runs.uploads import Upload, files_of, make_token, open_upload

PENDING = "upload"  # in the session and in the URL
NAMED = 3  # files of a kind of problem that are named
KINDS = {
    "missing": ("row", "for a file that was not brought"),
    "outside": ("row", "for a place outside the images"),
    "unclear": ("row", "for a name that several files have"),
    "conflict": ("image", "with two classes in the table"),
    "not-in-table": ("image", "that the table does not name"),
}


def bring_files(parent: str | None = None, *, is_main: bool = False) -> None:
    """Show where to drop images; what arrives is read, as a new version of `parent` where one is named."""
    home = get_lab().home
    place = st.container()
    each = not parent and st.checkbox(
        "Every frame or page becomes an image",
        help="Of DICOM series and of TIFF or WebP files with several; otherwise the first one is used.",
    )
    told = {"for": "data", "parent": parent, "frames": "each" if each else "first"}
    token = st.session_state.setdefault("upload-token", make_token(home))
    with place:
        done = uploader(token, is_main=is_main, told=told)
    if not done:
        return
    del st.session_state["upload-token"]  # the next upload is another one
    token, name, files, size = done
    try:
        upload = open_upload(home, token)
        mark_whole(upload, files, size, told | {"name": name})
    except UserError as error:
        st.error(escape(error), icon=":material/error:")
        return
    _take(upload, name, parent, told["frames"])


def _take(upload: Upload, name: str, parent: str | None, frames: str) -> None:
    """Read a whole upload, after a question where a table came with it."""
    try:
        tables = look_into(files_of(upload)).tables
    except UserError:
        tables = {}  # the reading says what is wrong
    if tables:
        set_aside(upload, name=name, parent=parent, frames=frames)
        st.session_state[PENDING] = upload.token
        go("study/data.py")
    _read(upload.token, name, parent, frames)


def show_unread() -> None:
    """Show the uploads that are here whole and are not read, each with a way on and a way to be rid of it."""
    for each in get_intake().unread():
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            icon = ":material/error:" if each.error else ":material/inbox:"
            words = each.error or (
                "all of it is here, and a question about its table waits for an answer."
                if each.asks
                else "all of it is here, and it was not read yet."
            )
            st.markdown(f"{icon} **{escape(each.name)}**: {escape(words)}", width="stretch")
            label = "Try again" if each.error else "Answer it" if each.asks else "Read it"
            if st.button(label, key=f"read-{each.upload.folder.name}", icon=":material/play_arrow:"):
                _go_on(each)
            offer_discard(each.upload)


def _go_on(unread: Unread) -> None:
    if unread.error:
        st.session_state["arrival"] = get_intake().retry(unread.upload).id
    elif unread.asks:
        st.session_state[PENDING] = unread.upload.token
    else:
        told = unread.told or {}
        _take(unread.upload, unread.name, told.get("parent"), told.get("frames") or "first")
    go("study/data.py")


def bring_folder() -> None:
    """Offer the folders of this machine that may be read, where there are any."""
    folders = list_folders(get_roots())
    if not folders:
        return
    chosen = st.selectbox("Or a folder on this machine", folders, index=None, placeholder="choose one",
                          format_func=lambda each: each.name)  # fmt: skip
    if chosen and st.button("Read it", icon=":material/folder_open:"):
        try:
            check_inside(chosen, get_roots())
            tables = find_tables(chosen)
            arrival = None if tables else get_intake().add_folder(chosen)
        except UserError as error:
            st.error(escape(error), icon=":material/error:")
            return
        if arrival is None:
            home = get_lab().home
            st.session_state[PENDING] = token = make_token(home)
            set_aside(open_upload(home, token), name=chosen.name, source=str(chosen))
            go("study/data.py")
        else:
            st.session_state["arrival"] = arrival.id
            go("study/data.py")


def _read(token: str, name: str, parent: str | None, frames: str = "first", **told: Any) -> None:
    try:
        upload = open_upload(get_lab().home, token)
        arrival = get_intake().add_upload(upload, name, parent=parent, frames=frames, **told)
    except UserError as error:
        st.error(escape(error), icon=":material/error:")
        return
    st.session_state["arrival"] = arrival.id
    go("study/data.py")


def waiting_upload() -> Upload | None:
    """Return the upload that waits for an answer; the URL has its token, so that a refresh does not lose it."""
    token = st.query_params.get(PENDING) or st.session_state.get(PENDING)
    if not token:
        return None
    try:
        upload = open_upload(get_lab().home, token)
    except UserError:
        upload = None
    if upload is None or set_aside_as(upload) is None:
        _settled()
        return None
    st.query_params[PENDING] = st.session_state[PENDING] = token
    return upload


def _settled() -> None:
    st.session_state.pop(PENDING, None)
    st.query_params.pop(PENDING, None)


def ask_table(upload: Upload) -> None:
    """Ask what the columns of a table mean that came with images, and show what would come of it."""
    told = set_aside_as(upload) or {}
    name, source = str(told.get("name")), told.get("source")
    try:
        found = _of_folder(source) if source else look_into(files_of(upload))
    except UserError as error:  # the folder went meanwhile, or the upload cannot be looked into
        _settled()
        if source:
            discard_upload(upload)
        st.error(escape(error), icon=":material/error:")
        return
    st.markdown(f"A table came with **{escape(name)}**. It can say which class each image is of.")
    if not found.tables:  # it went meanwhile
        _settled()
        _read(upload.token, name, told.get("parent"), told.get("frames") or "first", source=source)
        return
    file = st.selectbox("Table", list(found.tables)) if len(found.tables) > 1 else next(iter(found.tables))
    use = None
    try:
        table = read_table(found.tables[file](), file)
        columns = _ask_columns(table, found)
        use = columns if columns and _preview(table, columns, found.candidates) else None
    except UserError as error:
        st.warning(escape(error), icon=":material/warning:")
    with st.container(horizontal=True):
        chosen = st.button("Use this table", type="primary", icon=":material/check:", disabled=use is None)
        ignore = st.button(
            "Ignore the table", icon=":material/folder:", help="Classes are then told by the folders."
        )
        leave = source and st.button("Leave it", type="tertiary")
        if not source:
            offer_discard(upload)
    if chosen or ignore:
        _settled()
        frames = told.get("frames") or "first"
        with_table = {"table": file, "columns": use} if chosen else {}
        _read(upload.token, name, told.get("parent"), frames, source=source, **with_table)
    if leave:
        _settled()
        discard_upload(upload)  # what was noted of the folder
        st.rerun()


@st.cache_resource(max_entries=2, ttl=60, show_spinner="Looking into the folder")
def _of_folder(source: str) -> Contents:
    return look_into({}, source)


def _ask_columns(table: Table, found: Contents) -> Columns | None:
    """Ask what each column means, the likely answer chosen; None as long as nobody said which names the classes."""
    names, none = list(table.columns), "none"
    path = guess_path(table, found.candidates)
    group = guess_group(table, {path})
    domain = guess_domain(table, {path, group or ""})
    try:
        label = guess_label(table, {path, group or "", domain or ""})
    except UserError:
        label = None
    places = st.columns(4)
    path = places[0].selectbox("File names", names, index=names.index(path))
    said = places[1].selectbox("Classes", names, index=names.index(label) if label else None,
                               placeholder="choose the column")  # fmt: skip
    groups = places[2].selectbox("Groups", [none, *names], index=names.index(group) + 1 if group else 0,
                                 help="Patient, part or module, if a column names it.")  # fmt: skip
    domains = places[3].selectbox("Domains", [none, *names], index=names.index(domain) + 1 if domain else 0,
                                  help="Site or device, if a column names it.")  # fmt: skip
    if said is None:
        st.info("Several columns could name the classes: choose one.", icon=":material/help:")
        return None
    columns = settle(
        table, Columns(path, said, *(None if each == none else each for each in (domains, groups)))
    )
    rest = [name for name in names if name not in columns.used]
    extra: list[str] = list(columns.extra or ())
    if rest:
        extra = st.multiselect(
            "Further columns to keep", rest, extra, format_func=escape,
            help="As further labels of the images. All other columns are forgotten once the images are read.",
        )  # fmt: skip
    persons = [name for name in extra if names_person(name)]
    if persons:
        st.warning(f"{escape(', '.join(persons))} may name persons, and would be kept as it is.", icon=":material/person_alert:")  # fmt: skip
    if columns.group and names_person(columns.group):
        st.caption(
            f":material/lock: What {escape(columns.group)} says is kept as a salted hash only: it tells that images "
            "belong together, and not whose they are."
        )
    return replace(columns, extra=tuple(extra))


def _preview(table: Table, columns: Columns, candidates: list[Candidate]) -> bool:
    """Show what the table would do; return whether it says anything."""
    told, problems = lay_over(table, columns, candidates)
    counts = Counter(each.label for each in told if each.label)
    st.dataframe([dict(zip(table.columns, row, strict=True)) for row in table.rows[:5]], hide_index=True)
    if counts:
        shown = ", ".join(f"{escape(label)} {n:,}" for label, n in counts.most_common(8))
        more = f" and {len(counts) - 8} more" if len(counts) > 8 else ""
        st.markdown(f"**{counts.total():,} of {plural(len(told), 'image')}** get a class: {shown}{more}.")
    for kind, n in count_problems(problems).most_common():
        first = [each.file for each in problems if each.kind == kind and each.file][:NAMED]
        shown = escape(", ".join(first)) + (", ..." if n > NAMED else "")
        st.markdown(f":material/info: {plural(n, KINDS[kind][0])} {KINDS[kind][1]}: {shown}")
    return bool(counts)
