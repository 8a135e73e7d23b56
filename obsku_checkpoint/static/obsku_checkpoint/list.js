// Keeps the list of sessions, and that of those that wait, up to date, without moving what the reader has chosen.
"use strict";
(() => {
  const EVERY = 15000;

  // A row is a tr, or in some themes a tbody of its own.
  const rows = (table) => (table.tBodies.length > 1 ? [...table.tBodies] : [...table.tBodies[0].rows]);
  const key = (row) => row.querySelector("a")?.getAttribute("href");
  const cells = (row) => [...row.querySelectorAll("td, th")];
  const inUse = (element) => element.contains(document.activeElement);

  // Known rows keep their checkboxes: Django's script knows these, and some may be ticked.
  const renew = (row, fresh) => {
    const news = cells(fresh);
    for (const [place, cell] of cells(row).entries()) {
      if (news[place] && !inUse(cell) && !cell.querySelector(".action-select") && cell.innerHTML !== news[place].innerHTML) cell.replaceWith(document.importNode(news[place], true));
    }
  };

  const replace = (table, fresh) => {
    const known = new Map(rows(table).map((row) => [key(row), row]));
    const place = rows(table)[0].parentElement;
    for (const [number, wanted] of rows(fresh).entries()) {
      const row = known.get(key(wanted));
      if (row) renew(row, wanted);
      known.delete(key(wanted));
      const here = rows(table)[number];
      if (!row) place.insertBefore(document.importNode(wanted, true), here ?? null);
      else if (row !== here) place.insertBefore(row, here ?? null);
    }
    for (const gone of known.values()) gone.remove();
  };

  const look = async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href);
    if (!answer.ok || answer.redirected) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const table = document.querySelector("table[data-rows], #result_list"), fresh = page.querySelector("table[data-rows], #result_list");
    if (table && fresh) replace(table, fresh);
    else if (Boolean(table) !== Boolean(fresh)) return void location.reload(); // the first row, or no row any more
    for (const region of document.querySelectorAll("[data-region]")) {
      const news = page.getElementById(region.id);
      if (news && !inUse(region)) region.replaceChildren(...document.importNode(news, true).childNodes);
    }
  };

  const poll = async () => {
    try {
      await look();
    } catch {
      // The server is away: the page stays as it is.
    }
    setTimeout(poll, EVERY);
  };
  setTimeout(poll, EVERY);
})();
