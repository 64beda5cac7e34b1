(() => {
  "use strict";
  // Only comfort: the page is complete without this.
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "presentation");
  tip.hidden = true;
  document.body.append(tip);
  for (const term of document.querySelectorAll("body [title]")) {
    term.dataset.tip = term.title;
    if (term.matches(".def")) term.setAttribute("aria-description", term.title);
    term.removeAttribute("title");
  }
  // A head that explains itself can be reached; in a sortable table its button is.
  for (const head of document.querySelectorAll("table:not(.sortable) th[data-tip]")) head.tabIndex = 0;
  for (const mark of document.querySelectorAll("svg [data-tip] > title")) mark.remove();
  let shown = null;
  let fresh = null;
  const show = (target) => {
    shown = target;
    tip.textContent = target.dataset.tip;
    tip.hidden = false;
    const box = target.getBoundingClientRect();
    const x = Math.min(Math.max(8, box.left), innerWidth - tip.offsetWidth - 8);
    const above = box.top - tip.offsetHeight - 8;
    tip.style.left = `${Math.max(8, x) + scrollX}px`;
    tip.style.top = `${(above > 0 ? above : box.bottom + 8) + scrollY}px`;
  };
  const hide = () => { tip.hidden = true; shown = null; };
  document.addEventListener("pointerover", (event) => {
    const target = event.target.closest("[data-tip]");
    fresh = event.pointerType === "touch" && target !== shown ? target : null;
  }, true);
  // A first tap on a term tells what it means; a second follows its link.
  document.addEventListener("click", (event) => {
    if (fresh && fresh === event.target.closest("a[data-tip]")) event.preventDefault();
    fresh = null;
  });
  for (const name of ["pointerover", "focusin"]) {
    document.addEventListener(name, (event) => {
      const target = event.target.closest("[data-tip]");
      if (target) show(target); else hide();
    });
  }
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") === "descending";
        for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const key = (row) => {
          const cell = row.cells[column];
          const value = cell.dataset.sort ?? cell.textContent.trim();
          return value !== "" && Number.isFinite(Number(value)) ? Number(value) : value;
        };
        // A row that says why it has no numbers has fewer cells.
        const missing = (row) => column > 0 && row.cells.length < head.parentElement.cells.length
          || row.cells[column].textContent.trim().startsWith("–");
        const rows = [...table.tBodies[0].rows].sort((a, b) => {
          if (missing(a) || missing(b)) return missing(a) - missing(b);
          const [p, q] = [key(a), key(b)];
          const order = typeof p === "number" && typeof q === "number"
            ? p - q : String(p).localeCompare(String(q), undefined, {numeric: true});
          return up ? order : -order;
        });
        table.tBodies[0].append(...rows);
      });
    });
  }

  // What is folded would be missing from the paper.
  const opened = [];
  addEventListener("beforeprint", () => {
    for (const part of document.querySelectorAll("details:not(.answers details, [id$='-reported'] details)")) {
      if (!part.open) { part.open = true; opened.push(part); }
    }
  });
  addEventListener("afterprint", () => { for (const part of opened.splice(0)) part.open = false; });
})();
