// What the pages do beyond what they say: follow what happens, copy, reveal in place. Without this
// file everything works, and a page is as old as its last load.
'use strict';

(() => {
  const TIMEOUT_MS = 10000;
  // However much happens, a page is fetched anew once a second at most.
  const AT_MOST_EVERY_MS = 1000;
  // What comes together is shown together.
  const TOGETHER_MS = 150;
  // Figures are counted a moment after what they count.
  const COUNTED_MS = 3000;
  // What nobody tells of: ages, and whether a source is silent.
  const AGEING_MS = 30000;
  // Where changes are not heard of, the page looks for itself, and tries again to hear.
  const UNHEARD_MS = 5000;
  const LISTEN_AGAIN_MS = 60000;

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
  // Whether the page shows what there is.
  const refresh = async () => {
    const part = document.querySelector('[data-live]');
    if (!part || isBusy(part)) return false;
    const page = await fetched(location.pathname + location.search, {});
    const next = page.querySelector('[data-live]');
    if (!next || isBusy(part)) return false;
    const known = new Set(rows(part).map((row) => row.dataset.row));
    for (const row of rows(next)) {
      if (!known.has(row.dataset.row)) row.classList.add('fresh');
      const contact = revealed.get(row.dataset.row);
      if (contact) row.querySelector('.contact').replaceWith(contact);
    }
    offerCopies(next);
    part.replaceWith(document.adoptNode(next));
    return true;
  };

  let events, timer, dueAt = Infinity, endedAt = 0, isRefreshing = false, hasChanged = false;
  const hears = () => events?.readyState === EventSource.OPEN;
  const plan = (after) => {
    const at = Date.now() + after;
    if (at >= dueAt || document.hidden) return;
    clearTimeout(timer);
    dueAt = at;
    timer = setTimeout(follow, after);
  };
  const planSoon = () => plan(Math.max(TOGETHER_MS, endedAt + AT_MOST_EVERY_MS - Date.now()));
  // One refresh at a time; what happens meanwhile is seen by the next.
  const follow = async () => {
    dueAt = Infinity;
    if (isRefreshing) { hasChanged = true; return; }
    isRefreshing = true;
    hasChanged = false;
    // A wall screen must not show old figures as if they were new.
    const stale = document.getElementById('stale');
    let isShown = false;
    try { isShown = await refresh(); stale.hidden = true; } catch { stale.hidden = false; }
    isRefreshing = false;
    endedAt = Date.now();
    plan(isShown && hears() ? AGEING_MS : UNHEARD_MS);
    if (hasChanged) planSoon();
  };

  let counted;
  const changed = () => {
    hasChanged = true;
    if (!isRefreshing) planSoon();
    clearTimeout(counted);
    counted = setTimeout(planSoon, COUNTED_MS);
  };
  // A page that nobody sees hears nothing: browsers have few connections to one host.
  const listen = () => {
    if (document.hidden || (events && events.readyState !== EventSource.CLOSED)) return;
    events = new EventSource('/api/events');
    for (const kind of ['ready', 'gap', 'change']) events.addEventListener(kind, changed);
    events.addEventListener('error', () => {
      plan(UNHEARD_MS);
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, LISTEN_AGAIN_MS);
    });
  };
  const wake = () => {
    if (document.hidden) {
      events?.close();
      clearTimeout(timer);
      dueAt = Infinity;
      return;
    }
    listen();
    planSoon();
  };
  offerCopies(document);
  if (document.querySelector('[data-live]')) {
    endedAt = Date.now();
    plan(UNHEARD_MS);
    listen();
    document.addEventListener('visibilitychange', wake);
    addEventListener('pagehide', () => events?.close());
    addEventListener('pageshow', (event) => { if (event.persisted) wake(); });
  }
})();
