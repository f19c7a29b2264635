// What the pages do beyond what they say: follow what happens, copy, reveal in place. Without this
// file everything works, and a page is as old as its last load.
'use strict';

(() => {
  const EVERY_MS = 5000;
  const TIMEOUT_MS = 10000;

  // Copying is offered where it can be done: over https and on this machine.
  const offerCopies = (root) => {
    if (!navigator.clipboard) return;
    for (const button of root.querySelectorAll('[data-copy]')) button.hidden = false;
  };
  document.addEventListener('click', async (event) => {
    const button = event.target.closest('[data-copy]');
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    const text = button.textContent;
    button.textContent = '✓';
    setTimeout(() => { button.textContent = text; }, 1200);
  });

  const fetched = async (address, options) => {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(address, { ...options, signal, credentials: 'same-origin' });
    if (response.redirected) location.reload(); // the session is over: this page asks for the token
    if (!response.ok || response.redirected) throw new Error(String(response.status));
    return new DOMParser().parseFromString(await response.text(), 'text/html');
  };

  // A row's person is revealed in the row; the page that the form leads to says the same.
  document.addEventListener('submit', async (event) => {
    const form = event.target.closest('[data-reveal]');
    if (!form) return;
    event.preventDefault();
    try {
      const body = new URLSearchParams(new FormData(form));
      const page = await fetched(form.action, { method: 'POST', body });
      const row = form.closest('tr');
      for (const place of row.querySelectorAll('[data-contact]')) {
        const told = page.querySelector(`dd[data-contact="${place.dataset.contact}"]`);
        if (place.textContent && told) place.textContent = told.textContent.trim();
      }
      revealed.set(row.dataset.row, row.querySelector('.contact'));
      form.remove();
    } catch {
      form.submit();
    }
  });
  const revealed = new Map();

  // Whoever is at something in the part that would be replaced keeps it as it is.
  const isBusy = (part) => {
    const selection = document.getSelection();
    const selects = selection && !selection.isCollapsed && part.contains(selection.anchorNode);
    return selects || part.contains(document.activeElement) || part.querySelector('details[open]');
  };
  const rows = (part) => [...part.querySelectorAll('[data-row]')];
  const refresh = async () => {
    const part = document.querySelector('[data-live]');
    if (!part || document.hidden || isBusy(part)) return;
    const page = await fetched(location.pathname + location.search, {});
    const next = page.querySelector('[data-live]');
    if (!next || isBusy(part)) return;
    const known = new Set(rows(part).map((row) => row.dataset.row));
    for (const row of rows(next)) {
      if (!known.has(row.dataset.row)) row.classList.add('fresh');
      const contact = revealed.get(row.dataset.row);
      if (contact) row.querySelector('.contact').replaceWith(contact);
    }
    offerCopies(next);
    part.replaceWith(document.adoptNode(next));
  };

  // One refresh at a time; the next one is due some seconds after the last has ended.
  let due;
  const follow = async () => {
    clearTimeout(due);
    // A wall screen must not show old figures as if they were new.
    const stale = document.getElementById('stale');
    try { await refresh(); stale.hidden = true; } catch { stale.hidden = false; }
    due = setTimeout(follow, EVERY_MS);
  };
  offerCopies(document);
  if (document.querySelector('[data-live]')) {
    due = setTimeout(follow, EVERY_MS);
    document.addEventListener('visibilitychange', () => { if (!document.hidden) follow(); });
  }
})();
