"""What is asked of an upload before it is read: what the columns of its table mean, or its folders."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui.bring import PENDING, read_upload
from pages.ui.discarding import offer_discard
from pages.ui.folder_levels import ask_levels, preview_levels
from pages.ui.label_columns import ask_columns, preview_table
from pages.ui.parts import title
from pages.ui.state import get_lab, get_manifest
from pages.ui.text import escape
from transfer_core.data.label_table import read_table
from transfer_core.errors import UserError
from transfer_core.runs.intake import Contents, look_into
from transfer_core.runs.unread import discard_upload, set_aside, set_aside_as
from transfer_core.runs.uploads import Upload, files_of, open_upload


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


@st.cache_resource(max_entries=2, ttl=60, show_spinner="Looking into it")
def _contents(home: str, token: str, source: str | None, parent: str | None) -> Contents:
    files = {} if source else files_of(open_upload(get_lab().home, token))
    return look_into(files, source, get_manifest(parent) if parent else None)


def ask(upload: Upload) -> None:
    """Ask what has to be known before an upload is read, and show what would come of it."""
    told = set_aside_as(upload) or {}
    try:
        found = _contents(str(get_lab().home), upload.token, told.get("source"), told.get("parent"))
    except UserError as error:  # the folder went meanwhile, or the upload cannot be looked into
        _settled()
        if told.get("source"):
            discard_upload(upload)
        st.error(escape(error), icon=":material/error:")
        return
    if found.tables and not told.get("without_table"):
        _ask_table(upload, told, found)
    elif not found.proposal.is_sure:
        _ask_folders(upload, told, found)
    else:
        _read(upload, told)


def _read(upload: Upload, told: dict[str, Any], **answers: Any) -> None:
    _settled()
    read_upload(upload.token, str(told.get("name")), told.get("parent"), told.get("frames") or "first",
                source=told.get("source"), **answers)  # fmt: skip


def _leave(upload: Upload, told: dict[str, Any]) -> None:
    if not told.get("source"):
        offer_discard(upload)
    elif st.button("Leave it", type="tertiary"):
        _settled()
        discard_upload(upload)
        st.rerun()


def _ask_table(upload: Upload, told: dict[str, Any], found: Contents) -> None:
    title("What do the labels say?")
    st.markdown(f"A table came with **{escape(told.get('name'))}**. It can say which class each image is of.")
    file = st.selectbox("Table", list(found.tables)) if len(found.tables) > 1 else next(iter(found.tables))
    use, levels = None, found.proposal.cautious
    try:
        table = read_table(found.tables[file](), file)
        columns = ask_columns(table, found.images)
        if levels.meanings:
            with st.expander(f"Folders: {escape(found.proposal.tell(levels))}", icon=":material/folder:"):
                levels = ask_levels(found.proposal, levels)
        placed, _ = found.place(levels)
        use = columns if columns and preview_table(table, columns, placed) else None
    except UserError as error:
        st.warning(escape(error), icon=":material/warning:")
    with st.container(horizontal=True):
        chosen = st.button("Use this table", type="primary", icon=":material/check:", disabled=use is None)
        ignore = st.button(
            "Ignore the table", icon=":material/folder:", help="Classes are then told by the folders."
        )
        _leave(upload, told)
    if chosen:
        _read(upload, told, table=file, columns=use, levels=levels)
    if ignore:
        set_aside(upload, **told, without_table="yes")
        st.rerun()


def _ask_folders(upload: Upload, told: dict[str, Any], found: Contents) -> None:
    title("What do the folders say?")
    st.markdown(
        f"**{escape(told.get('name'))}**: {escape(found.proposal.doubt)}. Say what each level of folders is."
    )
    levels = None
    try:
        levels = ask_levels(found.proposal, found.proposal.scheme)
        preview_levels(found, levels)
    except UserError as error:
        levels = None
        st.warning(escape(error), icon=":material/warning:")
    with st.container(horizontal=True):
        if st.button("Read it so", type="primary", icon=":material/check:", disabled=levels is None):
            _read(upload, told, levels=levels)
        _leave(upload, told)
