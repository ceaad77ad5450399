"""From an upload to its reading: at once, or after a question."""

from __future__ import annotations

from typing import Any

import streamlit as st

from pages.ui.discarding import offer_discard
from pages.ui.state import get_intake, get_lab, get_manifest, go
from pages.ui.text import escape
from pages.ui.uploader import uploader
from transfer_core.data.sources import list_folders
from transfer_core.errors import UserError
from transfer_core.files import get_roots
from transfer_core.runs.intake import look_into
from transfer_core.runs.unread import Unread, mark_whole, set_aside
from transfer_core.runs.uploads import Upload, files_of, make_token, open_upload

PENDING = "upload"  # in the session and in the URL


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
    """Read a whole upload, after a question where a table came with it or it is not sure what the folders mean."""
    try:
        found = look_into(files_of(upload), parent=get_manifest(parent) if parent else None)
        asks = bool(found.tables) or not found.proposal.is_sure
    except UserError:
        asks = False  # the reading says what is wrong
    if asks:
        set_aside(upload, name=name, parent=parent, frames=frames)
        st.session_state[PENDING] = upload.token
        go("study/data.py")
    read_upload(upload.token, name, parent, frames)


def show_unread() -> None:
    """Show the uploads that are here whole and are not read, each with a way on and a way to be rid of it."""
    for each in get_intake().unread():
        with st.container(border=True, horizontal=True, vertical_alignment="center"):
            icon = ":material/error:" if each.error else ":material/inbox:"
            words = each.error or (
                "all of it is here, and a question about it waits for an answer."
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
            found = look_into({}, str(chosen))
            asks = bool(found.tables) or not found.proposal.is_sure
            arrival = None if asks else get_intake().add_folder(chosen)
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


def read_upload(token: str, name: str, parent: str | None, frames: str = "first", **told: Any) -> None:
    """Let the intake read an upload, with what was told of it, and show it on its way."""
    try:
        upload = open_upload(get_lab().home, token)
        arrival = get_intake().add_upload(upload, name, parent=parent, frames=frames, **told)
    except UserError as error:
        st.error(escape(error), icon=":material/error:")
        return
    st.session_state["arrival"] = arrival.id
    go("study/data.py")
