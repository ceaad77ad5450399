"""From an upload to its reading: at once, or after a question where a table of labels came with the images."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from pages.ui.state import get_intake, get_lab, go
from pages.ui.text import escape, plural
from pages.ui.uploader import uploader
from transfer_core.data.ingest import Candidate
from transfer_core.data.label_table import Columns, Table, guess_columns, lay_over, read_table
from transfer_core.data.sources import list_folders
from transfer_core.errors import UserError
from transfer_core.files import get_roots
from transfer_core.runs.intake import Contents, look_into
from transfer_core.runs.uploads import (
    Upload,
    discard_upload,
    files_of,
    make_token,
    open_upload,
    received,
    set_aside,
    set_aside_as,
)

PENDING = "upload"  # in the session and in the URL
KINDS = {
    "missing": ("row", "for a file that was not brought"),
    "outside": ("row", "for a place outside the images"),
    "unclear": ("row", "for a name that several files have"),
    "conflict": ("image", "with two classes in the table"),
    "not-in-table": ("image", "that the table does not name"),
}


def bring_files(parent: str | None = None) -> None:
    """Show where to drop images; what arrives is read, as a new version of `parent` where one is named."""
    home = get_lab().home
    done = uploader(st.session_state.setdefault("upload-token", make_token(home)))
    each = not parent and st.checkbox(
        "Every frame or page becomes an image",
        help="Of DICOM series and of TIFF or WebP files with several; otherwise the first one is used.",
    )
    frames = "each" if each else "first"
    if not done:
        return
    del st.session_state["upload-token"]  # the next upload is another one
    token, name, files, size = done
    here = received(open_upload(home, token))
    if len(here) != files or sum(here.values()) != size:
        st.error("Not all of it arrived: choose the same folder or zip again.", icon=":material/error:")
        return
    try:
        tables = look_into(files_of(open_upload(home, token))).tables
    except UserError:
        tables = {}  # the reading says what is wrong
    if tables:
        set_aside(open_upload(home, token), name=name, parent=parent, frames=frames)
        st.session_state[PENDING] = token
        go("study/data.py")
    _read(token, name, parent, frames)


def bring_folder() -> None:
    """Offer the folders of this machine that may be read, where there are any."""
    folders = list_folders(get_roots())
    if not folders:
        return
    chosen = st.selectbox("Or a folder on this machine", folders, index=None, placeholder="choose one",
                          format_func=lambda each: each.name)  # fmt: skip
    if chosen and st.button("Read it", icon=":material/folder_open:"):
        try:
            arrival = get_intake().add_folder(chosen)
        except UserError as error:
            st.error(escape(error), icon=":material/error:")
            return
        st.session_state["arrival"] = arrival.id
        go("study/data.py")


def _read(
    token: str,
    name: str,
    parent: str | None,
    frames: str = "first",
    table: str | None = None,
    columns: Columns | None = None,
) -> None:
    try:
        upload = open_upload(get_lab().home, token)
        arrival = get_intake().add_upload(
            upload, name, parent=parent, table=table, columns=columns, frames=frames
        )
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
    name = str(told.get("name"))
    found = look_into(files_of(upload))
    st.markdown(f"A table came with **{escape(name)}**. It can say which class each image is of.")
    file = st.selectbox("Table", list(found.tables)) if len(found.tables) > 1 else next(iter(found.tables))
    use, ignore, drop = None, False, False
    try:
        table = read_table(found.tables[file](), file)
        columns = _ask_columns(table, found)
        use = columns if _preview(table, columns, found.candidates) else None
    except UserError as error:
        st.warning(escape(error), icon=":material/warning:")
    with st.container(horizontal=True):
        chosen = st.button("Use this table", type="primary", icon=":material/check:", disabled=use is None)
        ignore = st.button(
            "Ignore the table", icon=":material/folder:", help="Classes are then told by the folders."
        )
        drop = st.button("Discard the upload", type="tertiary")
    if chosen or ignore:
        _settled()
        frames = told.get("frames") or "first"
        _read(upload.token, name, told.get("parent"), frames, *((file, use) if chosen else ()))
    if drop:
        _settled()
        discard_upload(upload)
        st.rerun()


def _ask_columns(table: Table, found: Contents) -> Columns:
    guess = guess_columns(table, found.candidates)
    names, none = list(table.columns), "none"
    places = st.columns(4)
    path = places[0].selectbox("File names", names, index=names.index(guess.path))
    label = places[1].selectbox("Classes", names, index=names.index(guess.label))
    group = places[2].selectbox(
        "Groups", [none, *names], help="Patient, part or module, if a column names it."
    )
    domain = places[3].selectbox("Domains", [none, *names], help="Site or device, if a column names it.")
    return Columns(path, label, None if domain == none else domain, None if group == none else group)


def _preview(table: Table, columns: Columns, candidates: list[Candidate]) -> bool:
    """Show what the table would do; return whether it says anything."""
    told, problems = lay_over(table, columns, candidates)
    counts = Counter(each.label for each in told if each.label)
    st.dataframe([dict(zip(table.columns, row, strict=True)) for row in table.rows[:5]], hide_index=True)
    if counts:
        shown = ", ".join(f"{escape(label)} {n:,}" for label, n in counts.most_common(8))
        more = f" and {len(counts) - 8} more" if len(counts) > 8 else ""
        st.markdown(f"**{counts.total():,} of {plural(len(told), 'image')}** get a class: {shown}{more}.")
    for kind, n in Counter(each.kind for each in problems).most_common():
        st.markdown(f":material/info: {plural(n, KINDS[kind][0])} {KINDS[kind][1]}.")
    return bool(counts)
