// Loads older messages as one scrolls up, and new ones as they are written.
"use strict";
(() => {
  const list = document.getElementById("obsku-transcript");
  if (!list) return;

  const fetched = async (query) => {
    const answer = await fetch(`${list.dataset.address}?fragment=1&${query}`, { credentials: "same-origin" });
    if (!answer.ok || answer.redirected) return null;
    return document.importNode(new DOMParser().parseFromString(await answer.text(), "text/html").body, true);
  };

  let watcher = null;
  let loading = false;
  const older = async (place) => {
    if (loading) return;
    loading = true;
    try {
      const part = await fetched(`before=${place.dataset.older}`);
      if (!part) return;
      const newer = part.querySelector("[data-newer]");
      if (newer) newer.remove();
      const anchor = place.nextElementSibling, before = anchor ? anchor.getBoundingClientRect().top : 0;
      place.replaceWith(...part.childNodes);
      if (anchor) scrollBy(0, anchor.getBoundingClientRect().top - before);
    } finally {
      loading = false;
    }
    watch();
  };
  const watch = () => {
    if (watcher) watcher.disconnect();
    const place = list.querySelector("[data-older]");
    if (!place || !window.IntersectionObserver) return;
    watcher = new IntersectionObserver((seen) => { if (seen.some((one) => one.isIntersecting)) older(place); }, { rootMargin: "300px" });
    watcher.observe(place);
  };

  let appending = false;
  const append = async () => {
    // A page in the middle of the transcript has a link to newer messages: new ones do not belong to its end.
    if (appending || list.querySelector("[data-newer]")) return;
    appending = true;
    try {
      for (let more = true; more;) {
        const all = list.querySelectorAll("[data-message]");
        const part = await fetched(`after=${all.length ? all[all.length - 1].dataset.message : 0}`);
        if (!part) return;
        const rest = part.querySelector("[data-newer]"), top = part.querySelector("[data-older]");
        more = Boolean(rest);
        if (rest) rest.remove();
        if (top) top.remove();
        for (const message of part.querySelectorAll("[data-message]")) {
          if (document.getElementById(message.id)) message.remove();
        }
        list.append(...part.childNodes);
      }
    } finally {
      appending = false;
    }
  };
  document.addEventListener("obsku:changed", append);

  // One begins at the end, where the newest message is; a link to a message begins there.
  const query = new URLSearchParams(location.search);
  if (!location.hash && !query.has("before") && !query.has("after") && !query.has("at")) {
    const all = list.querySelectorAll("[data-message]");
    if (all.length) all[all.length - 1].scrollIntoView({ block: "end" });
  }
  requestAnimationFrame(() => requestAnimationFrame(watch));
})();
