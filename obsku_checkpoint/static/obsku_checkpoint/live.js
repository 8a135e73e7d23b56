// Keeps an open page of a session up to date, without moving what the reader looks at.
"use strict";
(() => {
  const head = document.getElementById("obsku-live");
  if (!head) return;
  const QUICK = 2500, SLOW = 15000;
  let mark = head.dataset.mark, wait = QUICK, timer = 0, busy = false;

  const tell = (text) => {
    const note = document.getElementById("obsku-live-note");
    if (note && note.textContent !== text) note.textContent = text;
  };

  // A reader at work in a region (a form, an opened value) is not disturbed: the region waits for the next time.
  const inUse = (region) => region.contains(document.activeElement) && document.activeElement !== document.body
    && document.activeElement.matches("input, textarea, select, button");

  const openState = (region) => [...region.querySelectorAll("details")].map((fold) => fold.open);

  const refresh = async () => {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok) return false;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    let complete = true;
    for (const region of document.querySelectorAll("[data-region]")) {
      const fresh = region.id && page.getElementById(region.id);
      if (!fresh || fresh.innerHTML === region.dataset.html) continue;
      if (inUse(region)) { complete = false; continue; }
      const folds = openState(region), scrolled = [...region.querySelectorAll(".obsku-drawing")].map((one) => one.scrollLeft);
      region.dataset.html = fresh.innerHTML;
      region.replaceChildren(...document.importNode(fresh, true).childNodes);
      [...region.querySelectorAll("details")].forEach((fold, index) => { if (folds[index] !== undefined) fold.open = folds[index]; });
      [...region.querySelectorAll(".obsku-drawing")].forEach((one, index) => { one.scrollLeft = scrolled[index] || 0; });
    }
    return complete;
  };

  const look = async () => {
    if (busy || document.hidden) return;
    busy = true;
    try {
      const answer = await fetch(`${head.dataset.live}?after=${encodeURIComponent(mark)}`, { credentials: "same-origin" });
      if (answer.ok && !answer.redirected) {
        const found = await answer.json();
        wait = found.changed ? QUICK : Math.min(wait * 1.3, SLOW);
        if (found.changed) {
          document.dispatchEvent(new CustomEvent("obsku:changed"));
          if (await refresh()) mark = found.mark;
          tell("Updated just now");
        }
      } else {
        wait = SLOW;
      }
    } catch {
      wait = SLOW; // the server is away: the page stays as it is
    } finally {
      busy = false;
    }
  };

  const go = async () => {
    await look();
    timer = setTimeout(go, wait);
  };

  if (head.dataset.eventsUrl && window.EventSource) {
    const events = new EventSource(head.dataset.eventsUrl);
    events.onmessage = look;
    for (const kind of ["message", "checkpoint", "session"]) events.addEventListener(kind, look);
    events.onerror = () => { if (events.readyState === EventSource.CLOSED && !timer) go(); };
  } else {
    timer = setTimeout(go, wait);
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { wait = QUICK; look(); } });
})();
