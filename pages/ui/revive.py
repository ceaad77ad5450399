"""A page that broke in the browser is opened again: what was chosen stands in the address, what runs is on the server."""

from __future__ import annotations

import streamlit as st

# Streamlit takes everything off the page where an element comes for a place that is not there any more (its issue 16708
# tells of such a race). The script outlives that. Not more often than every ten seconds, or a page that always
# breaks would never stand still.
_SCRIPT = """<script>
if (!window.__revive) {
  window.__revive = setInterval(() => {
    const last = Number(sessionStorage.getItem('revived') || 0);
    if (document.getElementById('root').childElementCount || Date.now() - last < 10000) return;
    sessionStorage.setItem('revived', Date.now());
    location.reload();
  }, 500);
}
</script>"""


def revive() -> None:
    """Watch, once for all pages, that the page still stands."""
    with st.container(key="revive"):
        st.html(_SCRIPT, unsafe_allow_javascript=True)
