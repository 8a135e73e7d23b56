// Keeps an open page of a session up to date, without moving what the reader looks at.
"use strict";
(() => {
  const head = document.getElementById("obsku-live");
  if (!head) return;
  const QUICK = 2500, SLOW = 15000;
  let mark = head.dataset.mark, wait = QUICK, looking = false, again = false;

  // A reader at work in a region (a form) is not disturbed: the region waits for the next time.
  const inUse = (region) => region.contains(document.activeElement) && document.activeElement.matches("input, textarea, select, button");
  const folds = (region) => [...region.querySelectorAll("details")];
  const drawings = (region) => [...region.querySelectorAll(".obsku-drawing")];

  // What failed, asks or is at work comes into view where a drawing is wider than the page.
  const focus = (root) => {
    for (const drawing of root.querySelectorAll("[data-focus]")) drawing.scrollLeft = Math.max(0, drawing.dataset.focus - drawing.clientWidth / 3);
  };
  focus(document);

  const shown = new Map(); // region -> its HTML as the server last sent it

  const replace = (region, fresh) => {
    const focused = region.contains(document.activeElement) ? document.activeElement : null;
    const open = folds(region).map((fold) => fold.open), left = drawings(region).map((drawing) => drawing.scrollLeft);
    region.replaceChildren(...document.importNode(fresh, true).childNodes);
    folds(region).forEach((fold, index) => { fold.open = open[index] ?? fold.open; });
    drawings(region).forEach((drawing, index) => { drawing.scrollLeft = left[index] ?? 0; });
    if (focused) {
      const same = [...region.querySelectorAll(focused.tagName)].find((one) => one.outerHTML === focused.outerHTML);
      same?.focus({ preventScroll: true });
    }
  };

  // True when all regions show what the server has.
  const refresh = async () => {
    const answer = await fetch(location.href);
    if (!answer.ok) return false;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    let complete = true;
    for (const region of document.querySelectorAll("[data-region]")) {
      const fresh = page.getElementById(region.id);
      if (!fresh || shown.get(region) === fresh.innerHTML) continue;
      if (inUse(region)) { complete = false; continue; }
      shown.set(region, fresh.innerHTML);
      replace(region, fresh);
    }
    return complete;
  };

  const look = async () => {
    const answer = await fetch(`${head.dataset.live}?after=${encodeURIComponent(mark)}`);
    if (!answer.ok || answer.redirected) return false;
    const found = await answer.json();
    if (!found.changed) return false;
    document.dispatchEvent(new CustomEvent("obsku:changed"));
    if (await refresh()) mark = found.mark;
    const note = document.getElementById("obsku-live-note");
    note.textContent = note.dataset.updated;
    return true;
  };

  // One look at a time; what happens meanwhile is looked at after it.
  const news = async () => {
    again = true;
    if (looking || document.hidden) return;
    looking = true;
    try {
      while (again) {
        again = false;
        wait = await look() ? QUICK : Math.min(wait * 1.3, SLOW);
      }
    } catch {
      wait = SLOW; // the server is away: the page stays as it is
    } finally {
      looking = false;
    }
  };

  const poll = async () => {
    await news();
    setTimeout(poll, wait);
  };

  document.addEventListener("visibilitychange", news);
  if (!head.dataset.events) {
    setTimeout(poll, wait);
    return;
  }
  const events = new EventSource(head.dataset.events);
  for (const kind of ["open", "message", "checkpoint", "deleted"]) events.addEventListener(kind, news);
  // Closed for good: no server for streams, or no right to this one.
  events.addEventListener("error", () => { if (events.readyState === EventSource.CLOSED) poll(); });
})();
