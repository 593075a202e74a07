// Runs every file on this device, shows what it took, and posts it.

import {Runner, answers, ask, bytes, load, percentiles} from './runtime.js';

const element = (name) => document.getElementById(name);
const rows = new Map();
let files = [];
let samples = null;
let values = null;

start().catch((error) => say(`This page could not start: ${error.message}`));

async function start() {
  [files, samples] = await Promise.all([ask('/api/files'), ask('/api/samples')]);
  values = new Float32Array((await bytes('/api/samples.bin')).buffer);
  for (const file of files) addRow(file);
  element('device').value = localStorage.getItem('device') || (await deviceName());
  const cores = self.crossOriginIsolated ? navigator.hardwareConcurrency || 1 : 1;
  for (let count = 2; count <= Math.min(cores, 8); count *= 2) addOption('threads', count, count);
  if (navigator.gpu) addOption('accelerator', 'webgpu', 'GPU (WebGPU)');
  element('options').addEventListener('submit', (event) => {
    event.preventDefault();
    measureAll();
  });
  element('start').disabled = !document.body.dataset.litert;
  document.body.dataset.ready = 'yes';
}

function addOption(list, value, text) {
  const option = document.createElement('option');
  option.value = value;
  option.textContent = text;
  element(list).append(option);
}

// "Pixel 8, Chrome 141" where the browser says so, else what its user agent says.
async function deviceName() {
  const data = navigator.userAgentData;
  const agent = navigator.userAgent;
  let model = '';
  let browser = '';
  if (data) {
    const known = await data.getHighEntropyValues(['model', 'platformVersion']).catch(() => ({}));
    model = known.model || data.platform;
    const brand = data.brands.find((one) => !/Not.?A.?Brand|Chromium/i.test(one.brand));
    browser = (brand || data.brands.find((one) => /Chromium/.test(one.brand)) || {}).brand || '';
  } else {
    model = (/(iPhone|iPad|Android|Macintosh|Windows|Linux)/.exec(agent) || ['', ''])[1];
    browser = (/(Firefox|CriOS|Edg|Chrome|Safari)/.exec(agent) || ['', ''])[1];
  }
  return [model, browser].filter(Boolean).join(', ').slice(0, 60);
}

function addRow(file) {
  const row = document.createElement('tr');
  const head = document.createElement('th');
  head.scope = 'row';
  head.textContent = file.name;
  row.append(head);
  addCell(row, file.size_bytes.toLocaleString('en'), 'size, bytes');
  if (file.refused || file.browser_refused) fail(row, file.refused || file.browser_refused);
  element('results').tBodies[0].append(row);
  rows.set(file.key, row);
}

function addCell(row, text, head) {
  const cell = document.createElement('td');
  cell.className = 'number';
  cell.dataset.head = head;
  cell.textContent = text;
  row.append(cell);
}

function fail(row, reason) {
  const cell = document.createElement('td');
  cell.className = 'bad';
  cell.colSpan = 6;
  cell.textContent = reason;
  row.append(cell);
}

function say(text) {
  element('progress').textContent = text;
}

async function measureAll() {
  const device = element('device').value.trim();
  const accelerator = element('accelerator').value;
  const threads = Number(element('threads').value);
  localStorage.setItem('device', device);
  element('start').disabled = true;
  element('bar').hidden = false;
  const runnable = files.filter((file) => !file.refused && !file.browser_refused);
  let done = 0;
  for (const file of runnable) {
    const row = rows.get(file.key);
    while (row.cells.length > 2) row.deleteCell(-1);
    say(`${file.name} (${done + 1} of ${runnable.length}) …`);
    element('bar').value = done / runnable.length;
    try {
      const found = await measure(file, accelerator, threads);
      const timing = {...found.timing, device: label(device, accelerator, threads), accelerator, threads};
      timing.runtime = `LiteRT.js ${document.body.dataset.litert}`;
      timing.user_agent = navigator.userAgent.slice(0, 400);
      show(row, timing, await post(file, timing, found.outputs));
    } catch (error) {
      fail(row, error.message || String(error));
    }
    done += 1;
  }
  element('bar').hidden = true;
  element('start').disabled = false;
  say(`Measured ${done} files; they are columns of the report now.`);
  document.body.dataset.measured = String(done);
}

// The column's name: the device, and what was not the default.
function label(device, accelerator, threads) {
  const more = [];
  if (accelerator === 'webgpu') more.push('GPU');
  if (threads > 1) more.push(`${threads} threads`);
  return [device, ...more].join(', ').slice(0, 60);
}

async function measure(file, accelerator, threads) {
  const data = await bytes(`/files/${file.key}.tflite`);
  await load(threads > 1);
  const length = values.length / samples.shape[0];
  const sample = (at) => values.slice(at * length, (at + 1) * length);
  const begin = performance.now();
  const runner = await Runner.open(file, data, {accelerator, threads});
  try {
    await runner.run(sample(0));
    const cold = performance.now() - begin;
    const outputs = await answers(runner, samples.shape[0], sample);
    const {times, ...found} = await percentiles(runner, sample(0));
    const timing = {...found, blocks: times.length, cold_ms: Math.max(cold, 0.001)};
    return {timing, outputs};
  } finally {
    runner.close();
  }
}

function post(file, timing, outputs) {
  return ask(`/api/measurements/${file.key}`, {
    method: 'POST',
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({timing, outputs}),
  });
}

function show(row, timing, kept) {
  const written = (value) => value.toPrecision(3);
  const share = (value) => (value === null ? '–' : (100 * value).toFixed(1));
  const isShare = /accuracy|top/.test(document.body.dataset.metric);
  const score = kept.score === null ? '–' : isShare ? share(kept.score) : written(kept.score);
  addCell(row, written(timing.latency_ms_p50), 'median, ms');
  addCell(row, written(timing.latency_ms_p90), '90 %, ms');
  addCell(row, written(timing.latency_ms_p99), '99 %, ms');
  addCell(row, written(timing.cold_ms), 'first answer, ms');
  addCell(row, share(kept.agreement), 'same decision, %');
  row.lastElementChild.title = `relative error of the outputs ${kept.relative_error.toExponential(1)}`;
  addCell(row, score, document.body.dataset.metric);
}
