// Leadgate's script for web pages: remembers which campaign brought a visitor, and sends the forms
// that are marked with data-leadgate. How a page uses it is told in docs/web-page.md. A
// browser that is too old for it posts the forms as if there were none.
//
// Comments, indentation and spaces beside punctuation are taken out before it is served (a text here
// writes such a space as \x20); the rest has to stay below 4 kB.
(d => {
  const MARK = 'data-leadgate', DAYS_90 = 7776e6, NAMES_MAX = 30, ADDRESS_MAX = 500, KEEPALIVE_MAX = 6e4;
  // utm_* and the click ids that the gateway knows.
  const KNOWN = /^(utm_\w{1,40}|gclid|gbraid|wbraid|dclid|gad_source|gad_campaignid|fbclid|fbc|ttclid|msclkid|twclid|li_fat_id|zarsrc|srsltid|yclid)$/;

  // A page's address without its query, which may tell of a person.
  const bare = url => url.split(/[?#]/)[0].slice(0, ADDRESS_MAX);

  const referrer = d.referrer.split('/')[2] == location.host ? '' : bare(d.referrer);

  // The known values in this page's address, also in a query behind its #.
  const values = [...new URLSearchParams(location.search + '&' + location.hash.split('?')[1])]
    .map(([name, value]) => [name.toLowerCase(), value])
    .filter(([name, value]) => KNOWN.test(name) && value)
    .slice(0, NAMES_MAX);

  // The first touch and the last: t when, v values, p page, r referrer. Storage may be forbidden, and
  // may hold anything.
  let first, last;
  try {
    const stored = JSON.parse(localStorage.leadgate);
    [first, last] = stored.map(touch => touch.v[0] && Date.now() - touch.t < DAYS_90 ? touch : null);
  } catch {}
  if (values[0]) {
    last = { t: Date.now(), v: values, p: bare(location.href), r: referrer };
    first ??= last;
    try { localStorage.leadgate = JSON.stringify([first, last]); } catch {}
  }

  // Puts a value into a form's hidden field, which is made where there is none. What the page wrote
  // into it stays, and so does a field that people fill in; what this wrote is written anew, as the
  // page's address may have changed.
  const own = new WeakSet();
  const put = (form, name, value, over) => {
    let field = form.elements.namedItem(name);
    if (!value) return;
    if (!field) {
      field = d.createElement('input');
      field.type = 'hidden';
      field.name = name;
      form.append(field);
    }
    if (field.type == 'hidden' && (over || !field.value || own.has(field))) {
      own.add(field);
      field.value = value;
    }
  };

  const fill = form => {
    const to = form.getAttribute(MARK);
    if (to) form.setAttribute('action', to);
    form.setAttribute('method', 'post');
    put(form, 'page_url', location.href);
    put(form, 'referrer', last?.r || referrer);
    for (const [prefix, touch] of [['', last], ['first_', first]]) {
      if (!touch) continue;
      for (const [name, value] of touch.v) put(form, prefix + name, value);
      put(form, (prefix || 'last_') + 'landing_page', touch.p);
    }
    put(form, 'first_referrer', first?.r);
  };

  // Tells the page; whether it did not prevent what follows.
  const tell = (form, what, detail) =>
    form.dispatchEvent(new CustomEvent('leadgate:' + what, { bubbles: true, cancelable: true, detail }));

  // What each form was sent with last: the same content again is the same submission, and has its id.
  const posts = new WeakMap();

  const post = async (form, it) => {
    let answer, said = {};
    it.busy = true;
    form.setAttribute('aria-busy', true);
    try {
      answer = await fetch(form.getAttribute('action'), {
        method: 'POST',
        body: it.body,
        headers: { Accept: 'application/json' },
        credentials: 'omit',
        keepalive: true,
        signal: AbortSignal.timeout?.(2e4)
      });
      said = await answer.json();
    } catch {
      if (!answer && !navigator.onLine && !it.waited) {
        it.waited = true;
        tell(form, 'waiting');
        return addEventListener('online', () => post(form, it), { once: true });
      }
    }
    it.busy = false;
    form.removeAttribute('aria-busy');
    if (answer?.ok) {
      // What the page may send by itself from now on is another submission.
      form.elements.leadgate_id.value = '';
      if (!tell(form, 'sent', { ids: said.ids })) return;
      const marked = form.getAttribute(MARK + '-thanks');
      const thanks = marked ?? answer.headers.get('X-Leadgate-Thanks');
      if (thanks) location.assign(new URL(thanks, marked ? d.baseURI : answer.url));
    } else if (tell(form, 'failed', { status: answer?.status || 0, errors: said.errors || [] })) {
      // The browser's own post gets through where a script's may not, and shows what is wrong.
      HTMLFormElement.prototype.submit.call(form);
    }
  };

  d.addEventListener('submit', event => {
    const form = event.target, button = event.submitter;
    if (event.defaultPrevented || !form.hasAttribute(MARK)) return;
    let it = posts.get(form) || {}, plain = !window.fetch;
    if (it.busy) return event.preventDefault();
    fill(form);
    const body = new URLSearchParams();
    // Boxes to consent with, by names as config/field-names.toml has them.
    const boxes = [...form.elements].filter(box => box.type == 'checkbox' && !box.disabled
      && /consent|agree|accept|gdpr|newsletter|opt.?in|dong.?y(?![a-z])/i.test(box.name));
    new FormData(form).forEach((value, name) => {
      if (value.size) plain = true;
      else if (value.size == null && name != 'leadgate_id' && !boxes.some(box => box.name == name)) body.append(name, value);
    });
    // It is told whether they consent or not, and to which words: all of them.
    for (const box of boxes) {
      const words = (box.labels[0]?.textContent || '').trim().replace(/\s+/g, '\x20');
      body.append(box.name, box.checked + (words && ':\x20' + words));
    }
    if (button?.name) body.append(button.name, button.value);
    const content = '' + body;
    if (it.content != content) {
      it = { content, body, id: crypto.getRandomValues(new Uint32Array(4)).join('-') };
      posts.set(form, it);
    }
    put(form, 'leadgate_id', it.id, true);
    it.body.set('leadgate_id', it.id);
    // Files, and more than keepalive carries, are the browser's own business.
    if (plain || content.length > KEEPALIVE_MAX) return;
    event.preventDefault();
    post(form, it);
  });

  const ready = () => d.querySelectorAll(`form[${MARK}]`).forEach(fill);
  if (d.readyState == 'loading') d.addEventListener('DOMContentLoaded', ready);
  else ready();
})(document);
