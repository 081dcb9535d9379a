
/* live.js - keeps a page from kiln serve up to date: a report ("main" has data-version) or the list
 * of runs. Asks again every two seconds while the page is seen, and says when nobody answers. */
(function () {
  'use strict';
  const EVERY = 2000;
  const main = document.getElementById('main');
  const list = document.getElementById('list');
  if (!main || (!main.dataset.version && !list)) return;

  const badge = document.createElement('span');
  badge.className = 'badge';
  badge.setAttribute('role', 'status');
  document.getElementById('theme').before(badge);

  function say(state) {
    const words = { live: 'live', ended: 'finished', lost: 'no connection' };
    badge.dataset.state = state;
    if (badge.textContent !== words[state]) badge.textContent = words[state];
  }

  /* Calls `work` now and then, never twice at once, and not while the page is hidden. */
  function repeat(work) {
    let busy = false;
    const turn = async () => {
      if (busy || document.hidden) return;
      busy = true;
      try { await work(); } catch (error) { say('lost'); }
      busy = false;
    };
    setInterval(turn, EVERY);
    document.addEventListener('visibilitychange', turn);
    turn();
  }

  /* ---- a report ---- */
  const shown = {};

  function place(section) {
    const element = document.createElement('section');
    element.id = section.id;
    if (section.title) {
      const heading = document.createElement('h2');
      heading.textContent = section.title;
      element.append(heading);
    }
    const body = document.createElement('div');
    body.className = 'body';
    element.append(body);
    return element;
  }

  function show(page) {
    const wanted = new Set(page.sections.map((s) => s.id));
    main.querySelectorAll(':scope > section').forEach((old) => { if (!wanted.has(old.id)) old.remove(); });
    let before = null;
    page.sections.forEach((section) => {
      let element = document.getElementById(section.id);
      if (!element) {
        element = place(section);
        if (before) before.after(element); else main.append(element);
      }
      if (shown[section.id] !== section.html) window.kiln.replace(element.querySelector('.body'), section.html);
      shown[section.id] = section.html;
      before = element;
    });
    main.dataset.version = page.version;
  }

  async function updateReport() {
    const query = new URLSearchParams(location.search);
    query.set('version', main.dataset.version);
    const answer = await fetch('/api/report?' + query);
    if (answer.status === 200) show(await answer.json());
    else if (answer.status !== 304) throw new Error(String(answer.status));
    say(main.querySelector('.mark.runn') ? 'live' : 'ended');
  }

  /* ---- the list ---- */
  const state = { where: '', sort: '', reverse: '', limit: 100 };

  /* The address of what is shown, so that it can be reloaded and sent on. */
  function keepAddress() {
    const query = new URLSearchParams(Object.entries(state).filter(([k, v]) => v && k !== 'limit'));
    const address = query.toString() ? '/?' + query : '/';
    if (location.pathname + location.search !== address) history.replaceState(null, '', address);
  }

  async function updateList() {
    const query = new URLSearchParams(Object.entries(state).filter(([, v]) => v));
    const answer = await fetch('/api/runs?' + query);
    const rows = await answer.json(), problem = document.querySelector('.problem');
    problem.hidden = !rows.error;
    problem.textContent = rows.error || '';
    say('live');
    if (rows.error) return;
    keepAddress();
    const body = list.tBodies[0];
    if (shown.rows !== rows.html) {
      const ticked = new Set(picked());
      body.innerHTML = rows.html;
      body.querySelectorAll('input').forEach((box) => { box.checked = ticked.has(box.value); });
    }
    shown.rows = rows.html;
    document.getElementById('count').textContent = `${rows.shown} of ${rows.total}`;
    document.getElementById('more').hidden = rows.shown >= rows.total || state.limit >= 2000;
    countPicked();
  }

  function picked() {
    return [...list.querySelectorAll('input:checked')].map((box) => box.value);
  }

  function countPicked() {
    document.getElementById('compare').disabled = picked().length < 1;
  }

  function setUpList() {
    const filter = document.querySelector('.filter');
    const asked = new URLSearchParams(location.search);
    Object.assign(state, { where: filter.elements.where.value, sort: asked.get('sort') || '', reverse: asked.get('reverse') || '' });
    filter.addEventListener('submit', (event) => {
      event.preventDefault();
      state.where = filter.elements.where.value;
      updateList().catch(() => say('lost'));
    });
    list.tHead.addEventListener('click', (event) => {
      const key = event.target.dataset.key;
      if (!key) return;
      state.reverse = state.sort === key && !state.reverse ? '1' : '';
      state.sort = key;
      list.tHead.querySelectorAll('th').forEach((th) => th.removeAttribute('aria-sort'));
      event.target.closest('th').setAttribute('aria-sort', state.reverse ? 'descending' : 'ascending');
      updateList().catch(() => say('lost'));
    });
    list.addEventListener('change', countPicked);
    document.getElementById('more').addEventListener('click', () => {
      state.limit += 400;
      updateList().catch(() => say('lost'));
    });
    document.getElementById('compare').addEventListener('click', () => {
      location.href = '/report?' + new URLSearchParams(picked().map((path) => ['run', path]));
    });
  }

  if (list) setUpList();
  repeat(list ? updateList : updateReport);
})();
