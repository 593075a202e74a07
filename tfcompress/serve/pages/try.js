// One picture, the answers of all files side by side, from this device or from the server.

import {Runner, ask, bytes} from './runtime.js';

const SHOWN = 3;
const LINE = 22;

const element = (name) => document.getElementById(name);
const shown = element('shown');
const drawing = shown.getContext('2d', {willReadFrequently: true});
const seen = element('seen');
const looking = seen.getContext('2d', {willReadFrequently: true});
const runners = new Map();
const cards = new Map();
let files = [];
let samples = null;
let sample = null;   // values of a test sample, fed as they are
let asked = 0;       // pictures so far: answers to an older one are dropped
let stroke = null;
let leading = null;  // the first file's answer, that others are held against

start().catch((error) => say(`This page could not start: ${error.message}`));

async function start() {
  [files, samples] = await Promise.all([ask('/api/files'), ask('/api/samples')]);
  files.forEach(addCard);
  if (document.body.dataset.litert) {
    const here = document.createElement('option');
    here.value = 'here';
    here.textContent = 'this device';
    element('where').prepend(here);
    element('where').value = 'here';
  }
  clear();
  listen();
  element('sample').hidden = !samples.labelled;
  document.body.dataset.ready = 'yes';
}

function listen() {
  element('file').addEventListener('change', (event) => take(event.target));
  element('camera').addEventListener('change', (event) => take(event.target));
  element('clear').addEventListener('click', clear);
  element('sample').addEventListener('click', () => takeSample().catch(complain));
  element('where').addEventListener('change', answerAll);
  element('invert').addEventListener('change', () => look());
  const drop = element('drop');
  drop.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.classList.add('over');
  });
  drop.addEventListener('dragleave', () => drop.classList.remove('over'));
  drop.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    if (event.dataTransfer.files.length) put(event.dataTransfer.files[0]).catch(complain);
  });
  drop.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' || event.key === ' ') element('file').click();
  });
  shown.addEventListener('pointerdown', press);
  shown.addEventListener('pointermove', move);
  shown.addEventListener('pointerup', release);
  shown.addEventListener('pointercancel', release);
}

function complain(error) {
  say(error.message || String(error));
}

function say(text) {
  element('state').textContent = text;
}

function clear() {
  sample = null;
  drawing.fillStyle = '#000';
  drawing.fillRect(0, 0, shown.width, shown.height);
  looking.clearRect(0, 0, seen.width, seen.height);
  element('hint').hidden = false;
  for (const card of cards.values()) {
    card.answers.replaceChildren();
    card.differs.textContent = '';
    card.box.classList.remove('other');
  }
  asked += 1;
  say('');
}

function take(input) {
  if (input.files.length) put(input.files[0]).catch(complain);
  input.value = '';
}

// The picture, cut to a square as the files see it.
async function put(file) {
  const picture = await createImageBitmap(file).catch(() => {
    throw new Error(`${file.name} cannot be read as a picture.`);
  });
  const [height, width] = samples.picture;
  const scale = Math.min(picture.width / width, picture.height / height);
  const [w, h] = [width * scale, height * scale];
  const left = (picture.width - w) / 2;
  const top = (picture.height - h) / 2;
  drawing.imageSmoothingQuality = 'high';
  drawing.drawImage(picture, left, top, w, h, 0, 0, shown.width, shown.height);
  picture.close();
  sample = null;
  look();
}

async function takeSample() {
  const all = new Float32Array((await bytes('/api/samples.bin')).buffer);
  const length = all.length / samples.shape[0];
  const at = Math.floor(Math.random() * samples.shape[0]);
  sample = all.slice(at * length, (at + 1) * length);
  const [height, width, channels] = samples.picture;
  const image = looking.createImageData(width, height);
  const span = samples.high - samples.low || 1;
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = sample[pixel * channels + (channels === 3 ? channel : 0)];
      image.data[4 * pixel + channel] = (255 * (value - samples.low)) / span;
    }
    image.data[4 * pixel + 3] = 255;
  }
  looking.putImageData(image, 0, 0);
  drawing.imageSmoothingEnabled = false;
  drawing.drawImage(seen, 0, 0, shown.width, shown.height);
  drawing.imageSmoothingEnabled = true;
  element('hint').hidden = true;
  say(`test sample ${at + 1} of ${samples.shape[0]}`);
  answerAll();
}

function place(event) {
  const box = shown.getBoundingClientRect();
  return [
    ((event.clientX - box.left) / box.width) * shown.width,
    ((event.clientY - box.top) / box.height) * shown.height,
  ];
}

function press(event) {
  if (sample !== null) clear();
  shown.setPointerCapture(event.pointerId);
  stroke = place(event);
  element('hint').hidden = true;
  move(event);
}

function move(event) {
  if (stroke === null) return;
  const [x, y] = place(event);
  drawing.strokeStyle = '#fff';
  drawing.lineWidth = LINE;
  drawing.lineCap = 'round';
  drawing.beginPath();
  drawing.moveTo(...stroke);
  drawing.lineTo(x, y);
  drawing.stroke();
  stroke = [x, y];
}

function release() {
  if (stroke === null) return;
  stroke = null;
  look();
}

// The shown picture in the size that the files take, and their answers to it.
function look() {
  const [height, width] = samples.picture;
  looking.imageSmoothingQuality = 'high';
  looking.drawImage(shown, 0, 0, width, height);
  const image = looking.getImageData(0, 0, width, height);
  for (let at = 0; at < image.data.length; at += 4) {
    if (samples.picture[2] === 1) {
      const grey = 0.299 * image.data[at] + 0.587 * image.data[at + 1] + 0.114 * image.data[at + 2];
      image.data.fill(grey, at, at + 3);
    }
    if (element('invert').checked) {
      for (let channel = 0; channel < 3; channel++) image.data[at + channel] = 255 - image.data[at + channel];
    }
  }
  looking.putImageData(image, 0, 0);
  sample = null;
  element('hint').hidden = true;
  say('');
  answerAll();
}

// One input: a test sample as it is, or low + (high − low) · v / 255 of the seen pixels.
function input() {
  if (sample !== null) return sample;
  const [height, width, channels] = samples.picture;
  const pixels = looking.getImageData(0, 0, width, height).data;
  const values = new Float32Array(height * width * channels);
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let channel = 0; channel < channels; channel++) {
      const share = pixels[4 * pixel + channel] / 255;
      values[pixel * channels + channel] = samples.low + (samples.high - samples.low) * share;
    }
  }
  return values;
}

async function answerAll() {
  if (!element('hint').hidden) return;
  const mine = ++asked;
  const values = input();
  leading = null;
  const here = element('where').value === 'here';
  for (const file of files.filter((one) => !one.refused)) {
    try {
      const answer = here && !file.browser_refused ? await onDevice(file, values) : await onServer(file, values);
      if (mine !== asked) return;
      show(file, answer);
    } catch (error) {
      if (mine !== asked) return;
      cards.get(file.key).note.textContent = error.message || String(error);
    }
  }
  document.body.dataset.answered = String(mine);
}

async function onDevice(file, values) {
  if (!runners.has(file.key)) {
    const data = await bytes(`/files/${file.key}.tflite`);
    runners.set(file.key, await Runner.open(file, data));
  }
  const start = performance.now();
  const outputs = await runners.get(file.key).run(values);
  return {output: outputs[0], note: `${(performance.now() - start).toFixed(1)} ms on this device`};
}

async function onServer(file, values) {
  const start = performance.now();
  const answer = await ask(`/api/predict/${file.key}`, {
    method: 'POST',
    headers: {'Content-Type': 'application/octet-stream'},
    body: values.buffer,
  });
  const total = performance.now() - start;
  const {queue, inference} = answer.ms;
  const way = Math.max(total - queue - inference, 0);
  const note = `${inference.toFixed(1)} ms on the server, ${way.toFixed(1)} ms on the way`;
  return {output: Float32Array.from(answer.outputs[0]), note};
}

function addCard(file) {
  const box = document.createElement('article');
  box.className = 'answer';
  const name = document.createElement('h2');
  name.textContent = file.name;
  const note = document.createElement('p');
  note.className = 'note';
  note.textContent = file.refused || `${(file.size_bytes / 1000).toFixed(1)} kB`;
  const answers = document.createElement('ol');
  const differs = document.createElement('p');
  differs.className = 'differs';
  box.append(name, note, answers, differs);
  element('answers').append(box);
  cards.set(file.key, {box, note, answers, differs});
}

function show(file, {output, note}) {
  const card = cards.get(file.key);
  card.note.textContent = `${(file.size_bytes / 1000).toFixed(1)} kB · ${note}`;
  const shares = likely(Array.from(output));
  const best = shares.map((share, at) => [share, at]).sort((one, other) => other[0] - one[0]);
  card.answers.replaceChildren(...best.slice(0, SHOWN).map(([share, at]) => line(share, at)));
  const decided = shares.length > 1 ? best[0][1] : Number(best[0][0] > 0.5);
  if (leading === null) leading = {name: file.name, decided};
  const other = decided !== leading.decided;
  card.box.classList.toggle('other', other);
  card.differs.textContent = other ? `decides otherwise than ${leading.name}` : '';
}

// Probabilities as they are; anything else through a softmax, exp(x − max) / Σ.
function likely(values) {
  if (values.length === 1) return [values[0]];
  const sum = values.reduce((total, value) => total + value, 0);
  if (Math.min(...values) >= 0 && Math.abs(sum - 1) < 0.05) return values;
  const top = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - top));
  const total = powers.reduce((one, other) => one + other, 0);
  return powers.map((power) => power / total);
}

function line(share, at) {
  const item = document.createElement('li');
  const name = document.createElement('span');
  name.textContent = samples.classes[at] ?? `class ${at}`;
  const meter = document.createElement('meter');
  meter.value = share;
  const number = document.createElement('span');
  number.className = 'number';
  number.textContent = `${(100 * share).toFixed(1)} %`;
  item.append(name, meter, number);
  return item;
}
