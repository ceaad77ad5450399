"""Choose or drop a folder, a zip or images: their files go to the disk one by one, and a broken upload goes on where it stood.

Streamlit's own uploader keeps everything in memory, twice, and takes minutes for a folder of a thousand files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

_HTML = """
<div class="drop" role="group" aria-label="Bring images">
  <div class="ask">
    <span class="hint">Drop a folder or a zip here, or</span>
    <span class="buttons">
      <button type="button" class="images" hidden>Choose images</button>
      <button type="button" class="folder">Choose a folder</button>
      <button type="button" class="zip">Choose a zip</button>
    </span>
  </div>
  <div class="work" hidden>
    <div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"><div></div></div>
    <div class="line"><span class="words" aria-live="polite"></span><button type="button" class="stop">Stop</button></div>
  </div>
  <p class="note" role="status"><span class="said"></span> <button type="button" class="forget" hidden>Forget it</button></p>
  <input type="file" class="dir" webkitdirectory multiple hidden aria-hidden="true" tabindex="-1">
  <input type="file" class="many" multiple hidden aria-hidden="true" tabindex="-1">
  <input type="file" class="one" accept=".zip" hidden aria-hidden="true" tabindex="-1">
</div>
"""

_CSS = """
[hidden] { display: none !important; }
.drop { border: 1.5px dashed var(--st-border-color); border-radius: 8px; padding: 14px 16px; font: inherit;
  color: var(--st-text-color); font-family: var(--st-font); }
.drop.over { border-color: var(--st-primary-color); background: color-mix(in srgb, var(--st-primary-color) 8%, transparent); }
.ask { display: flex; flex-wrap: wrap; gap: 10px; align-items: center; }
.buttons { display: flex; flex-wrap: wrap; gap: 8px; }
.hint, .words { font-size: 14px; }
button { font: inherit; font-size: 14px; padding: 6px 12px; border-radius: 8px; cursor: pointer;
  color: var(--st-text-color); background: var(--st-background-color); border: 1px solid var(--st-border-color); }
button:hover, button:focus-visible { border-color: var(--st-primary-color); color: var(--st-primary-color); }
.bar { height: 8px; border-radius: 4px; background: var(--st-border-color); overflow: hidden; margin: 4px 0 10px; }
.bar div { height: 100%; width: 0; background: var(--st-primary-color); }
.line { display: flex; justify-content: space-between; align-items: center; gap: 12px; font-variant-numeric: tabular-nums; }
.note { margin: 10px 0 0; font-size: 14px; }
.note:has(.said:empty) { display: none; }
.forget { padding: 2px 8px; }
button.main { color: var(--st-background-color); background: var(--st-primary-color); border-color: var(--st-primary-color); }
button.main:hover, button.main:focus-visible { color: var(--st-background-color); filter: brightness(0.9); }
.note.bad { color: var(--st-red-text-color, #a33); }
"""

_JS = """
const MEMORY = 'transfer-lab-upload', AT_ONCE = 4, TRIES = 6, SLICE = 8e6;
const where = token => new URL('upload/' + token, document.baseURI.replace(/[^/]*$/, '')).href;
const wait = ms => new Promise(done => setTimeout(done, ms));
const count = n => n.toLocaleString('en');
const megabytes = n => n < 1e6 ? Math.ceil(n / 1e3) + ' kB' : (n / 1e6).toFixed(n < 1e8 ? 1 : 0) + ' MB';
const junk = path => path.split('/').some(each =>
  ['__macosx', '.ds_store', 'thumbs.db', 'desktop.ini', '.ipynb_checkpoints'].includes(each.toLowerCase()) || each.startsWith('._'));
const rest = s => s < 90 ? Math.ceil(s) + ' s' : Math.round(s / 60) + ' min';

async function entries(item, path, found) {   // what was dropped, folders and all
  if (item.isFile) found.push([path + item.name, await new Promise((done, fail) => item.file(done, fail))]);
  else {
    const reader = item.createReader();
    for (;;) {
      const some = await new Promise((done, fail) => reader.readEntries(done, fail));
      if (!some.length) return;
      for (const each of some) await entries(each, path + item.name + '/', found);
    }
  }
}

export default function (component) {
  const { parentElement: root } = component;
  const $ = name => root.querySelector(name);
  const ready = Boolean(root.__now);
  const loose = component.data.images;   // suffixes of images that may come by themselves; empty where folders say the classes
  $('.images').hidden = !loose;
  $('.many').accept = loose || '';
  $('.hint').textContent = loose ? 'Drop images, a folder or a zip here, or' : 'Drop a folder or a zip here, or';
  const memory = MEMORY + (loose ? '-of-images' : '');   // what broke off on one page is not told on the other
  root.__now = component;   // of the newest run of the page: the server may have been started anew meanwhile
  if (ready) return;
  const drop = $('.drop'), ask = $('.ask'), work = $('.work'), note = $('.note');
  const say = (text, bad) => { $('.said').textContent = text; note.classList.toggle('bad', Boolean(bad)); $('.forget').hidden = true; };
  $('.folder').classList.toggle('main', Boolean(component.data.main));
  const remember = value => value ? localStorage.setItem(memory, JSON.stringify(value)) : localStorage.removeItem(memory);
  let stopped = false, before = null;
  try { before = JSON.parse(localStorage.getItem(memory)); } catch { /* then there was none */ }
  const tab = sessionStorage.getItem(MEMORY) || crypto.getRandomValues(new Uint32Array(2)).join('-');
  sessionStorage.setItem(MEMORY, tab);
  if (before && before.tab !== tab && Date.now() - before.at < 10000) {   // another window is still sending it
    say(`${before.name} is being sent in another window.`);
    before = null;
  }

  const about = async token => {
    const answer = await fetch(where(token));
    return answer.ok ? await answer.json() : { files: {}, begun: 0 };
  };
  const here = async token => (await about(token)).files;
  const unfold = () => {   // a note that nobody sees is none: it may stand in a section that is folded
    const fold = (root.host || root.getRootNode().host || root).closest('details');
    if (fold && !fold.open) fold.querySelector('summary').click();
  };
  const brokeOff = async left => {   // an upload that was not finished: how far it is, and what to do about it
    const { files, begun } = await about(left.token);
    if (!localStorage.getItem(memory)) return;   // forgotten while the server was asked
    const age = Date.now() - left.at;
    if (!Object.keys(files).length && !begun && age > 3600e3) { before = null; remember(null); return; }   // cleared away since
    const n = Object.keys(files).length, bytes = Object.values(files).reduce((sum, size) => sum + size, 0) + begun;
    const far = left.all ? `at ${Math.floor(100 * bytes / left.all)} %` : 'in the middle';
    const what = left.total > 1 ? ` (${count(n)} of ${count(left.total)} files are here)` : '';
    say(`${left.what || left.name} broke off ${far}${what}: choose it again to go on, and only the rest is sent.`);
    $('.forget').hidden = false;
    unfold();
    if (age < 60e3) setTimeout(() => drop.scrollIntoView({ block: 'center' }), 500);   // whoever reloads looks for it
  };
  if (before) brokeOff(before).catch(() => {});
  $('.forget').onclick = () => {
    if (before) fetch(where(before.token), { method: 'DELETE' }).catch(() => {});
    before = null; remember(null); say('');
  };
  let sending = false;
  window.addEventListener('beforeunload', event => { if (sending) { event.preventDefault(); event.returnValue = ''; } });

  const show = (done, total, bytes, all, began) => {
    const share = all ? bytes.now / all : 0, took = (performance.now() - began) / 1000;
    $('.bar div').style.width = 100 * share + '%';
    $('.bar').setAttribute('aria-valuenow', Math.round(100 * share));
    const sent = bytes.now - bytes.old;
    const left = sent && took > 1 ? ` · about ${rest((all - bytes.now) * took / sent)} left` : '';
    $('.words').textContent = `${count(done)} of ${count(total)} files, ${megabytes(bytes.now)} of ${megabytes(all)}${left}`;
  };

  const partly = async (token, path) => {   // how much of a large file is here
    const answer = await fetch(where(token), { headers: { 'X-File': encodeURIComponent(path) } });
    return answer.ok ? (await answer.json()).part : 0;
  };

  const put = async (token, path, file, tell) => {   // a large file in slices: it goes on where it broke off
    if (file.size <= SLICE) { await push(token, path, file, {}); tell(file.size); return; }
    let at = await partly(token, path).catch(() => 0);
    if (at >= file.size) at = 0;   // all of it came and was lost before it counted
    tell(at, true);
    while (at < file.size) {
      const end = Math.min(at + SLICE, file.size);
      const gone = await push(token, path, file.slice(at, end), { 'Content-Range': `bytes ${at}-${end - 1}/${file.size}` });
      const now = gone ? await partly(token, path) : end;   // an answer may be lost on its way, and the slice be here
      tell(now - at);
      if (gone && now === 0 && (await here(token))[path] === file.size) { tell(file.size - now); return; }
      at = now;
    }
  };

  const whole = (token, told) => push(token, '', JSON.stringify(told), {}, 'POST');

  const push = async (token, path, body, headers, method = 'PUT') => {   // true where the slice was not the next one
    for (let tried = 1; ; tried++) {
      if (stopped) throw new Error('stopped');
      try {
        const answer = await fetch(where(token), { method, body, headers: { 'X-File': encodeURIComponent(path), ...headers } });
        if (answer.ok) return false;
        if (answer.status === 409) return true;
        const told = (await answer.json().catch(() => ({}))).error || `The server answered ${answer.status}.`;
        if (answer.status < 500 && answer.status !== 408 && answer.status !== 400) throw new Error(told, { cause: 'refused' });
        if (tried >= TRIES) throw new Error(told, { cause: 'refused' });
      } catch (error) {
        if (error.cause === 'refused' || error.message === 'stopped') throw error;
        if (tried >= TRIES) throw new Error('The connection broke off. Choose the same again: what has arrived is kept.');
      }
      await wait(300 * 2 ** tried);
    }
  };

  const send = async (name, list) => {
    list = list.filter(([path]) => !junk(path));
    if (!list.length) { say(`There are no files in ${name || 'it'}: choose a folder with images, or a zip.`, true); return; }
    const all = list.reduce((sum, [, file]) => sum + file.size, 0);
    // The same again is what has the same name, number, size and latest change: nothing old is mixed in.
    const mark = [list.length, all, list.reduce((last, [, file]) => Math.max(last, file.lastModified), 0)].join('-');
    const same = before && before.name === name && before.mark === mark;
    const token = same ? before.token : root.__now.data.token;
    const what = list.length === 1 ? list[0][0].split('/').pop() : name;
    const state = { token, name, what, total: list.length, all, mark, tab, at: Date.now() };
    remember(state);
    const beat = setInterval(() => remember({ ...state, at: Date.now() }), 3000);
    ask.hidden = true; work.hidden = false; stopped = false; say(''); sending = true;
    const known = same ? await here(token).catch(() => ({})) : {};
    const todo = list.filter(([path, file]) => known[path] !== file.size);
    const bytes = { now: all - todo.reduce((sum, [, file]) => sum + file.size, 0) };
    bytes.old = bytes.now;
    let done = list.length - todo.length, next = 0;
    const began = performance.now();
    show(done, list.length, bytes, all, began);
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, async () => {
        while (next < todo.length) {
          const [path, file] = todo[next++];
          const tell = (n, old) => { bytes.now += n; if (old) bytes.old += n; show(done, list.length, bytes, all, began); };
          try { await put(token, path, file, tell); } catch (error) { stopped = true; throw error; }
          done++; tell(0);
        }
      }));
      await whole(token, { ...root.__now.data.told, name, files: list.length, size: all });   // from here on the server keeps it
      clearInterval(beat); sending = false;
      remember(null); before = null;
      ask.hidden = false; work.hidden = true;
      root.__now.setTriggerValue('done', { token, name, files: list.length, size: all });
    } catch (error) {
      clearInterval(beat); sending = false;
      before = state;
      ask.hidden = false; work.hidden = true;
      say(error.message === 'stopped' ? `Stopped. ${count(done)} of ${count(list.length)} files are here; choose the same again to go on.` : error.message,
          error.message !== 'stopped');
    }
  };

  const chosen = input => [...input.files].map(file => [file.webkitRelativePath || file.name, file]);
  const named = list => list[0][0].includes('/') ? list[0][0].split('/')[0]
    : list.length > 1 ? count(list.length) + ' files' : list[0][0].replace(/\\.zip$/i, '');
  $('.folder').onclick = () => $('.dir').click();
  $('.zip').onclick = () => $('.one').click();
  $('.images').onclick = () => $('.many').click();
  for (const kind of ['.dir', '.one', '.many']) $(kind).onchange = event => {
    const list = chosen(event.target);
    if (list.length) send(named(list), list);
    event.target.value = '';
  };
  // Of a folder without files a browser says the same as of a dialog that was closed: nothing was chosen.
  $('.dir').addEventListener('cancel', () => say('Nothing was chosen: a folder without files counts as none.', false));
  $('.stop').onclick = () => { stopped = true; };
  drop.ondragover = event => { event.preventDefault(); drop.classList.add('over'); };
  drop.ondragleave = () => drop.classList.remove('over');
  drop.ondrop = async event => {
    event.preventDefault(); drop.classList.remove('over');
    const found = [];
    for (const item of [...event.dataTransfer.items].map(each => each.webkitGetAsEntry()).filter(Boolean)) await entries(item, '', found);
    const dropped = event.dataTransfer.items.length;
    if (found.length) send(named(found), found);
    else say(dropped ? 'There are no files in what was dropped.' : 'Nothing arrived: drop a folder or a zip of files.', true);
  };
}
"""


@st.cache_resource(show_spinner=False)
def _component() -> Any:
    return st.components.v2.component("uploader", html=_HTML, css=_CSS, js=_JS)


def uploader(
    token: str, images: str = "", *, is_main: bool = False, told: Mapping[str, Any] | None = None
) -> tuple[str, str, int, int] | None:
    """Show where to drop; return token, name, number of files and bytes of an upload once all of it was sent, else None.

    `images`: suffixes, with commas between, where images may come by themselves, in no folder. `token` is for a new
    upload; one that broke off goes on under its own. `told` is kept with the upload once all of it is here. `is_main`: choosing is the page's main action. The key never
    changes, so that a page whose server was started anew keeps the element that is still sending.
    """
    data = {"token": token, "images": images, "main": is_main, "told": dict(told or {})}
    found = _component()(key="uploader", data=data, on_done_change=lambda: None)
    done = getattr(found, "done", None)
    return (done["token"], done["name"], done["files"], done["size"]) if done else None
