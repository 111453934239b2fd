"use strict";
// Saves clicks; decides nothing. Regions marked data-live are replaced by what the server draws now; countdowns run,
// times become local, the diff follows the typing. Without this file every page still works.
(() => {
  const body = document.body;
  const skew = Number(body.dataset.now || Date.now()) - Date.now(); // the server's clock against ours
  for (const region of document.querySelectorAll("[data-live]")) region.dataset.drawn = region.innerHTML;

  // Times -----------------------------------------------------------------------------------------------------------
  const left = (ms) => {
    const s = Math.max(0, Math.round(ms / 1000));
    const pad = (n) => String(n).padStart(2, "0");
    if (s >= 86400) return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h left`;
    if (s >= 3600) return `${Math.floor(s / 3600)} h ${pad(Math.floor((s % 3600) / 60))} min left`;
    return `${Math.floor(s / 60)}:${pad(s % 60)} left`;
  };
  const tick = () => {
    for (const time of document.querySelectorAll("time[data-deadline]")) {
      const ms = Number(time.dataset.deadline) - Date.now() - skew;
      time.textContent = ms > 0 ? left(ms) : "deadline passed";
      time.classList.toggle("soon", ms < 60000);
    }
  };
  const localTimes = () => {
    for (const time of document.querySelectorAll("time[data-ms]")) {
      const at = new Date(Number(time.dataset.ms));
      time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
      time.title = at.toISOString();
    }
  };
  const refreshTimes = () => { localTimes(); tick(); };
  refreshTimes();
  setInterval(tick, 1000);

  // Live updates ----------------------------------------------------------------------------------------------------
  const announce = document.getElementById("announce");
  const live = document.getElementById("live");
  const liveWord = document.getElementById("live-word");
  const show = (word, away) => {
    if (!live) return;
    live.hidden = false;
    live.classList.toggle("away", away);
    liveWord.textContent = word;
  };

  // What somebody has typed or opened stays, when a form about the same thing is drawn in the old one's place.
  const about = (form) => [...form.querySelectorAll("input[type=hidden]")]
    .filter((field) => field.name !== "also").map((field) => `${field.name}=${field.value}`).join();
  const keptOpen = new WeakSet(); // nobody opens these just now, though the browser tells of it
  const keep = (old, fresh) => {
    const opened = fresh.querySelectorAll("details");
    old.querySelectorAll("details").forEach((details, at) => {
      if (!opened[at]) return;
      opened[at].open = details.open;
      if (details.open) keptOpen.add(opened[at]);
    });
    for (const field of old.querySelectorAll("textarea[id], input[id], select[id]")) {
      const next = fresh.querySelector(`#${CSS.escape(field.id)}`);
      if (next && next.form && field.form && about(next.form) === about(field.form)) next.value = field.value;
    }
  };
  const focusAgain = (focused, again) => {
    again.focus({ preventScroll: true });
    if (focused.selectionStart != null && again.value === focused.value) again.setSelectionRange(focused.selectionStart, focused.selectionEnd);
  };

  // A region with a data-key holds forms: it is replaced only when what they are about has changed, never while the
  // same decision is still to be made and somebody may be typing.
  const replace = (fresh) => {
    let gone = false;
    for (const region of document.querySelectorAll("[data-live]")) {
      const next = fresh.getElementById(region.id);
      gone ||= region.querySelector("form") && !(next && next.querySelector("form"));
      if (!next) { region.remove(); continue; }
      const same = region.dataset.key === undefined
        ? region.dataset.drawn === next.innerHTML
        : region.dataset.key === next.dataset.key;
      if (same) continue;
      const drawn = next.innerHTML;
      const focused = region.contains(document.activeElement) ? document.activeElement : null;
      const again = focused && (focused.id ? `#${CSS.escape(focused.id)}` : focused.getAttribute("href") && `a[href="${CSS.escape(focused.getAttribute("href"))}"]`);
      const said = region.dataset.announce;
      const adopted = document.importNode(next, true);
      adopted.dataset.drawn = drawn;
      keep(region, adopted);
      region.replaceWith(adopted);
      if (again) focusAgain(focused, adopted.querySelector(again) || document.getElementById("main"));
      if (adopted.dataset.announce && adopted.dataset.announce !== said) announce.textContent = adopted.dataset.announce;
    }
    if (fresh.title) document.title = fresh.title;
    const jump = document.querySelector(".jump");
    if (jump && !fresh.querySelector(".jump")) jump.remove();
    // What was said about a form stays for as long as that form does.
    const notice = document.getElementById("notice");
    if (notice && gone) notice.remove();
    refreshTimes();
    watchEditor();
  };

  // A click is a press and a release of the same element, so none is replaced in between.
  let released = Promise.resolve();
  addEventListener("pointerdown", () => {
    released = new Promise((done) => {
      for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => setTimeout(done), { once: true, capture: true });
      setTimeout(done, 10_000); // where the end of it is not told
    });
  }, true);

  const askAnew = () => location.replace(location.pathname + location.search); // never what a form had sent
  let busy = false;
  let again = false;
  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const headers = { accept: "text/html", "x-holdpoint-live": "1" }; // nobody does anything: an idle session stays one
      const answer = await fetch(location.href, { headers, cache: "no-store" });
      if (answer.redirected) { askAnew(); return; } // signed out
      if (answer.status >= 500) throw new Error(answer.statusText);
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
        await released;
        replace(fresh);
        show("Live", false);
      }
    } catch {
      show("Reconnecting…", true);
      // When the stream comes back, it is asked anyway; one that never went away says nothing of this.
      if (source && source.readyState === EventSource.OPEN) setTimeout(refresh, 2000);
    } finally {
      busy = false;
      if (again) { again = false; setTimeout(refresh, 200); }
    }
  };

  const stream = body.dataset.stream;
  let source = null;
  const connect = () => {
    if (!stream || document.hidden || source) return;
    source = new EventSource(stream);
    source.onopen = refresh; // whatever happened while we were away
    source.addEventListener("changed", refresh);
    source.onerror = () => {
      show("Reconnecting…", true);
      if (source && source.readyState === EventSource.CLOSED) { source = null; setTimeout(connect, 2000); refresh(); }
    };
  };
  const disconnect = () => { if (source) source.close(); source = null; };
  // Hidden pages give their connection back: a browser has only six for one host.
  document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", connect);
  connect();

  // The diff while typing -------------------------------------------------------------------------------------------
  const line = ([change, text]) => {
    const row = document.createElement("div");
    row.className = change;
    const sign = document.createElement("span");
    sign.className = "sign";
    sign.setAttribute("aria-hidden", "true");
    sign.textContent = { same: " ", added: "+", removed: "−" }[change];
    const words = document.createElement("span");
    words.className = "line";
    words.textContent = text;
    row.append(sign, words);
    return row;
  };
  const drawDiff = (place, edits) => {
    place.replaceChildren(...edits.flatMap(({ label, lines }) => {
      const title = document.createElement("h3");
      title.textContent = label;
      const diff = document.createElement("div");
      diff.className = "diff";
      diff.append(...lines.map(line));
      return [title, diff];
    }));
  };
  function watchEditor() {
    const form = document.getElementById("edit-form");
    if (!form || form.dataset.watched) return;
    form.dataset.watched = "1";
    document.getElementById("edit-preview").hidden = true;
    let timer = 0;
    let asked = 0;
    const ask = async () => {
      const mine = ++asked;
      try {
        const answer = await fetch(`${location.pathname}/preview`, { method: "POST", body: new FormData(form) });
        if (answer.ok && mine === asked) drawDiff(document.getElementById("diff"), (await answer.json()).edits);
      } catch { /* the next key stroke asks again */ }
    };
    form.addEventListener("input", (event) => {
      if (event.target.tagName !== "TEXTAREA") return;
      clearTimeout(timer);
      timer = setTimeout(ask, 200);
    });
  }
  watchEditor();

  // A double click sends a form once (the server would not mind, but the second answer would be confusing).
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    addEventListener("pageshow", () => delete form.dataset.sent, { once: true });
  });

  // Keys ------------------------------------------------------------------------------------------------------------
  const openEditor = () => {
    const editor = document.querySelector("details.editor");
    if (!editor) return;
    editor.open = true;
    editor.querySelector("textarea").focus();
  };
  document.addEventListener("click", (event) => {
    if (event.target.closest && event.target.closest("#edit")) { event.preventDefault(); openEditor(); }
  });
  document.addEventListener("toggle", (event) => {
    if (!keptOpen.delete(event.target) && event.target.matches("details.reject[open]")) document.getElementById("reason").focus();
  }, true);
  const move = (step) => {
    const links = [...document.querySelectorAll(".row-link")];
    const at = links.indexOf(document.activeElement);
    const next = links[at < 0 ? 0 : Math.min(Math.max(at + step, 0), links.length - 1)];
    if (next) next.focus();
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    const on = (id, act) => { const found = document.getElementById(id); if (found) { event.preventDefault(); act(found); } };
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "a") on("approve", (button) => button.focus()); // Enter then says it: no decision by one stray key
    else if (event.key === "e") on("edit", openEditor);
    else if (event.key === "r") on("reject", (summary) => { summary.parentElement.open = true; document.getElementById("reason").focus(); });
  });
})();
