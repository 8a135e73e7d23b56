// Loads older messages as one scrolls up, and new ones as they are written.
"use strict";
(() => {
  const list = document.getElementById("obsku-transcript");
  if (!list) return;
  const messages = () => [...list.querySelectorAll("[data-message]")];

  const fetched = async (query) => {
    const answer = await fetch(`${list.dataset.address}?fragment=1&${query}`);
    if (!answer.ok || answer.redirected) return null;
    return document.importNode(new DOMParser().parseFromString(await answer.text(), "text/html").body, true);
  };

  // A tool's result goes beside its call where the two were not loaded together.
  const pair = () => {
    for (const place of list.querySelectorAll("[data-wants]")) {
      const result = [...list.querySelectorAll("[data-result]")].find((one) => one.dataset.result === place.dataset.wants);
      if (!result) continue;
      const badge = result.querySelector("summary .obsku-badge"), summary = place.closest(".obsku-call").querySelector("summary");
      summary.querySelector(".obsku-badge-silent")?.remove(); // "no result", until now
      if (badge) summary.append(" ", badge.cloneNode(true));
      result.open = true;
      place.replaceWith(result);
    }
  };

  let loading = false;
  const older = async (place) => {
    if (loading) return;
    loading = true;
    try {
      const part = await fetched(`before=${place.dataset.older}`);
      if (!part) return;
      part.querySelector("[data-newer]")?.remove();
      const anchor = place.nextElementSibling, before = anchor.getBoundingClientRect().top;
      place.replaceWith(...part.childNodes);
      pair();
      scrollBy(0, anchor.getBoundingClientRect().top - before);
    } finally {
      loading = false;
    }
    watch();
  };

  let watcher = null;
  const watch = () => {
    watcher?.disconnect();
    const place = list.querySelector("[data-older]");
    if (!place) return;
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
        const part = await fetched(`after=${messages().at(-1)?.dataset.message ?? 0}`);
        if (!part) return;
        more = Boolean(part.querySelector("[data-newer]"));
        for (const link of part.querySelectorAll("[data-newer], [data-older]")) link.remove();
        for (const message of part.querySelectorAll("[data-message], [data-event]")) document.getElementById(message.id)?.remove();
        list.append(...part.childNodes);
      }
      pair();
    } finally {
      appending = false;
    }
  };
  document.addEventListener("obsku:changed", append);

  // One begins at the end, where the newest message is; a link to a message begins there.
  const query = new URLSearchParams(location.search);
  if (!location.hash && !["before", "after", "at", "number", "failure", "q"].some((name) => query.has(name))) messages().at(-1)?.scrollIntoView({ block: "end" });
  else if (!location.hash) list.querySelector(".obsku-chosen")?.scrollIntoView({ block: "center" });
  pair();
  requestAnimationFrame(() => requestAnimationFrame(watch));
})();
