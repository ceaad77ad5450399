"""An upload that nobody has read goes only once somebody has said that it may."""

from __future__ import annotations

import streamlit as st

from pages.ui.saying import clicked
from transfer_core.runs.unread import discard_upload
from transfer_core.runs.uploads import Upload


def offer_discard(upload: Upload) -> None:
    """Offer to delete an upload, after a tick that says so."""
    name = upload.folder.name  # in the keys: a tick for one upload deletes no other
    sure = st.checkbox("I want to delete it", key=f"sure-{name}")
    st.button(
        "Delete the upload", key=f"drop-{name}", type="tertiary", icon=":material/delete:", disabled=not sure,
        on_click=clicked(discard_upload), args=(upload,),
    )  # fmt: skip
