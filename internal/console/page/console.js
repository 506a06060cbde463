'use strict';
// The console reads /api/v1 of its own origin. What workflows say is only ever
// put into the page as text.

const api = '/api/v1';
const view = {type: '', id: '', key: '', workflow: '', state: '', cursor: '', pages: 1};
const known = new Set(); // types that were seen, deployed or not
let stream = null;

const $ = (id) => document.getElementById(id);

// What is not seen but moves other text about, or controls a terminal when it is
// copied there, is shown as an escape. Line breaks and tabs stay.
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const safe = (text) => text.replace(unseen, (c) => {
  const code = c.charCodeAt(0).toString(16);
  return code.length > 2 ? '\\u' + code.padStart(4, '0') : '\\x' + code.padStart(2, '0');
});

// el makes an element; strings among the children become text.
function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === 'onclick') e.addEventListener('click', value);
    else if (value !== undefined && value !== false) e.setAttribute(name, value);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined).map((c) => typeof c === 'string' ? safe(c) : c));
  return e;
}

// A number that JavaScript would write otherwise, such as an integer over 2^53,
// is kept as its text behind a mark that nobody who sends data can know.
const mark = '#' + Math.random().toString(36).slice(2) + ':';
const tokens = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const read = (text) => JSON.parse(text.replace(tokens, (t) => t[0] === '"' || String(Number(t)) === t ? t : `"${mark}${t}"`));
const show = (value, indent) => JSON.stringify(value, null, indent).replaceAll(new RegExp(`"${mark}([^"]*)"`, 'g'), '$1');
const word = (value) => typeof value === 'string' && !value.startsWith(mark) ? value : show(value);

async function get(path) {
  const response = await fetch(api + path, {headers: {Accept: 'application/json'}});
  const body = read(await response.text());
  if (!response.ok) throw Object.assign(new Error(body.title), {problem: body});
  return body;
}

const enc = encodeURIComponent;
const number = new Intl.NumberFormat();
const clock = new Intl.DateTimeFormat(undefined, {dateStyle: 'medium', timeStyle: 'medium'});

function ago(text) {
  const seconds = Math.max(0, (Date.now() - new Date(text)) / 1000);
  for (const [size, unit] of [[86400, 'd'], [3600, 'h'], [60, 'min']]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
  }
  return seconds < 5 ? 'now' : `${Math.floor(seconds)} s ago`;
}

const time = (text) => el('time', {datetime: text, title: clock.format(new Date(text))}, ago(text));
const stateOf = (state) => el('span', {class: 'state ' + state}, state.replaceAll('_', ' '));
// An instance is named by its id in links and addresses: every key may be there,
// also '.' and '..', which browsers take out of an address.
const named = (s) => 'id:' + s.instance_id;
const link = (type, id) => '#/' + enc(type) + (id ? '/' + enc(id) : '');

// The address says what is shown: #/type/instance.
function route() {
  const [type = '', id = ''] = location.hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent);
  if (type !== view.type) Object.assign(view, {key: '', workflow: '', state: '', pages: 1});
  const moved = type !== view.type || id !== view.id;
  Object.assign(view, {type, id});
  $('key').value = view.key;
  if (moved) showDetail();
  refresh();
}

async function refresh() {
  await showTypes().catch(() => {}); // showHealth says what is wrong
  await Promise.allSettled([showHealth(), showCounts(), showInstances()]);
}

async function showHealth() {
  const health = $('health');
  try {
    const s = await get('/status');
    // The marker of the last commit is an offset too: one a partition is none.
    const behind = s.partitions.reduce((sum, p) => sum + Math.max(0, p.lag - 1), 0);
    health.className = s.ready ? 'good' : '';
    health.textContent = !s.ready ? safe(s.reason) : behind ? number.format(behind) + ' behind' : 'up to date';
  } catch (err) {
    health.className = 'bad';
    health.textContent = err.problem ? err.problem.detail : 'the projector does not answer';
  }
}

async function showTypes() {
  for (const d of (await get('/definitions')).items) known.add(d.workflow_type);
  const tab = (type, label) => el('a', {href: link(type), 'aria-current': view.type === type && 'page'}, label);
  $('types').replaceChildren(tab('', 'All'), ...[...known].sort().map((t) => tab(t, t)));
}

async function showCounts() {
  const types = view.type ? [view.type] : [...known];
  const all = await Promise.all(types.map((t) => get(`/types/${enc(t)}/counts`)));
  const sum = {workflow_state: {}, state: {}, instances: 0, events: 0};
  for (const c of all) {
    sum.instances += c.instances;
    sum.events += c.events;
    for (const by of ['workflow_state', 'state']) {
      for (const [k, n] of Object.entries(c[by])) sum[by][k] = (sum[by][k] || 0) + n;
    }
  }
  const card = (n, label, field, value) => {
    const chosen = field && view[field] === value;
    return el('button', {
      class: 'count' + (field === 'state' ? ' chart' : ''), 'aria-pressed': field ? String(chosen) : undefined,
      onclick: () => choose(field, chosen ? '' : value),
    }, el('b', {}, number.format(n)), el('span', {}, label.replaceAll('_', ' ')));
  };
  const cards = (of, field) => Object.entries(of).sort((a, b) => b[1] - a[1]).slice(0, 12).map(([k, n]) => card(n, k, field, k));
  $('counts').replaceChildren(
    card(sum.instances, 'instances', '', ''), card(sum.events, 'events', '', ''),
    ...cards(sum.workflow_state, 'workflow'), ...(view.type ? cards(sum.state, 'state') : []));
}

function choose(field, value) {
  if (field) view[field] = value;
  else Object.assign(view, {workflow: '', state: ''});
  view.pages = 1;
  refresh();
}

async function showInstances() {
  const shown = JSON.stringify([view.type, view.workflow, view.state, view.key, view.pages]);
  const items = [];
  let cursor = '';
  for (let page = 0; page < view.pages; page++) {
    const answer = await get('/instances?' + new URLSearchParams({
      type: view.type, workflow_state: view.workflow, state: view.state, key: view.key, limit: 50, cursor,
    }));
    items.push(...answer.items);
    cursor = answer.next_cursor;
    if (!cursor) break;
  }
  if (shown !== JSON.stringify([view.type, view.workflow, view.state, view.key, view.pages])) return; // moved on meanwhile
  $('more').hidden = !cursor;
  $('instances').replaceChildren(...items.map((s) => el('tr', {
    'aria-selected': String(named(s) === view.id), onclick: () => { location.hash = link(s.workflow_type, named(s)); },
  },
  el('td', {}, el('a', {href: link(s.workflow_type, named(s)), class: s.key ? '' : 'id'}, s.key || s.instance_id),
    view.type ? null : el('span', {class: 'sub'}, '  ' + s.workflow_type)),
  el('td', {}, stateOf(s.state)),
  el('td', {}, (s.chart.active || []).join(', ')),
  el('td', {class: 'number'}, number.format(s.sequence_number)),
  el('td', {class: 'sub'}, time(s.updated_at)))));
  const filtered = view.key || view.workflow || view.state;
  $('empty').hidden = items.length > 0;
  $('empty').replaceChildren(...(filtered ? ['Nothing matches.'] :
    ['No instances yet. Start one: ', el('code', {}, `leat start ${view.type || 'TYPE'} --key KEY --input '{}'`)]));
}

// showDetail shows one instance and follows its history.
async function showDetail() {
  if (stream) stream.close();
  stream = null;
  const {type, id} = view;
  const detail = $('detail');
  detail.hidden = !id;
  document.querySelector('main').classList.toggle('open', Boolean(id));
  if (!id) return;
  const close = el('button', {class: 'close', 'aria-label': 'Close', onclick: () => { location.hash = link(type); }}, '×');
  const facts = el('div', {});
  const heading = el('h3', {}, 'History');
  const list = el('ol', {});
  detail.replaceChildren(close, facts, heading, list);
  const path = `/instances/${enc(type)}/${enc(id)}`;
  const load = async () => {
    try {
      facts.replaceChildren(...describe(await get(path)));
    } catch (err) {
      facts.replaceChildren(el('h2', {}, id), el('p', {}, err.message), el('p', {class: 'sub'}, err.problem ? err.problem.fix : ''));
    }
  };
  await load();
  if (view.id !== id || view.type !== type) return;
  stream = new EventSource(`${api}${path}/history/stream`);
  const mine = stream;
  let pending = false;
  stream.onopen = () => heading.classList.add('live');
  stream.onmessage = (message) => {
    list.append(item(read(message.data)));
    if (!pending) {
      pending = true;
      setTimeout(() => { pending = false; if (mine === stream) load(); }, 150);
    }
  };
  stream.addEventListener('end', () => { mine.close(); heading.classList.remove('live'); });
  stream.onerror = () => heading.classList.remove('live');
}

function describe(s) {
  const row = (name, ...value) => [el('dt', {}, name), el('dd', {}, ...value)];
  const data = {input: s.chart.input, data: s.chart.data, payloads: s.chart.payloads, tasks: s.chart.tasks, timers: s.chart.timers, output: s.output};
  return [
    el('h2', {}, s.key || s.instance_id),
    el('div', {class: 'sub id'}, s.key ? s.instance_id : ''),
    el('dl', {},
      ...row('workflow', stateOf(s.state)), ...row('state', (s.chart.active || []).join(', ')),
      ...row('definition', `${s.workflow_type}@${s.version}`), ...row('sequence', number.format(s.sequence_number)),
      ...row('created', time(s.created_at)), ...row('updated', time(s.updated_at)),
      ...(s.error ? row('error', `${s.error.code}: ${s.error.message}`) : []),
      ...row('CLI', el('code', {}, `leat get ${s.workflow_type} ${/^[\w.][\w.:@+-]*$/.test(s.key || '') && !/^id:/.test(s.key) ? s.key : named(s)}`))),
    ...Object.entries(data).filter(([, v]) => v !== undefined && v !== null).map(([name, value]) =>
      el('details', {}, el('summary', {class: 'sub'}, '▸ ' + name), el('pre', {}, show(value, 2)))),
  ];
}

function item(e) {
  const mark = /failed|timeout|error/.test(e.event_type) ? 'failed' : /completed/.test(e.event_type) ? 'completed' : '';
  const told = Object.entries(e.data || {}).slice(0, 3).map(([k, v]) => `${k}: ${word(v)}`).join(' · ');
  return el('li', {class: mark}, el('details', {},
    el('summary', {}, el('b', {}, e.event_type), el('span', {class: 'sub'}, `  #${e.sequence_number} · `), el('span', {class: 'sub'}, time(e.timestamp)),
      told ? el('div', {class: 'sub'}, told) : null),
    el('div', {class: 'sub id'}, `partition ${e.partition}, offset ${e.offset}`),
    el('pre', {}, show(e, 2))));
}

let typing = 0;
$('key').addEventListener('input', () => {
  clearTimeout(typing);
  typing = setTimeout(() => { Object.assign(view, {key: $('key').value, pages: 1}); showInstances(); }, 150);
});
$('more').addEventListener('click', () => { view.pages++; showInstances(); });
addEventListener('hashchange', route);
addEventListener('keydown', (event) => {
  if (event.key === '/' && document.activeElement !== $('key')) { event.preventDefault(); $('key').focus(); }
  if (event.key === 'Escape' && view.id) location.hash = link(view.type);
});
setInterval(() => { if (!document.hidden) refresh(); }, 2000);
route();
