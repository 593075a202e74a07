// LiteRT.js behind the few calls that the pages need; real numbers go in and come out.

const ARRAYS = {float32: Float32Array, int32: Int32Array, uint8: Uint8Array};
const BYTE = [0, 255];

const BLOCK_MS = 5;
const BLOCKS = 40;
const LEAST_MS = 1000;
const MOST_MS = 8000;

let library = null;

export async function ask(address, options) {
  const response = await fetch(address, options);
  const body = await response.json().catch(() => ({error: response.statusText}));
  if (!response.ok) throw new Error(body.error || `the server answered ${response.status}`);
  return body;
}

export async function bytes(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: the server answered ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

// The library, loaded once; `threads` decides which of its builds it is.
export async function load(threads) {
  if (library === null) {
    const module = await import('@litertjs/core');
    await module.loadLiteRt('/litert/wasm/', {threads: threads && self.crossOriginIsolated});
    library = module;
  }
  return library;
}

export class Runner {
  // file: an entry of /api/files; data: its bytes.
  static async open(file, data, {accelerator = 'wasm', threads = 1} = {}) {
    const litert = await load(threads > 1);
    const options = {accelerator};
    if (accelerator === 'wasm') options.cpuOptions = {numThreads: threads};
    const model = await litert.loadAndCompile(data, options);
    return new Runner(file, model, litert.Tensor);
  }

  constructor(file, model, Tensor) {
    this.file = file;
    this.model = model;
    this.Tensor = Tensor;
    this.input = file.inputs[0];
    this.shape = this.input.shape.map((side) => side ?? 1);
  }

  // values: Float32Array of one sample; the outputs come as one Float32Array each.
  async run(values) {
    const input = new this.Tensor(stored(values, this.input), this.shape);
    const results = await this.model.run(input);
    const tensors = this.ordered(results);
    const outputs = [];
    for (let at = 0; at < tensors.length; at++) {
      outputs.push(real(await tensors[at].data(), this.file.outputs[at]));
    }
    for (const tensor of tensors) tensor.delete();
    input.delete();
    return outputs;
  }

  // Milliseconds of `count` runs, one after another, of one stored input.
  async time(values, count) {
    const input = new this.Tensor(stored(values, this.input), this.shape);
    const start = performance.now();
    for (let run = 0; run < count; run++) {
      const tensors = this.ordered(await this.model.run(input));
      for (const tensor of tensors) {
        await tensor.data();
        tensor.delete();
      }
    }
    const spent = performance.now() - start;
    input.delete();
    return spent;
  }

  // The outputs in the order of the host's, which goes by name where names are alike.
  ordered(results) {
    const list = Array.isArray(results) ? results : Object.values(results);
    const names = this.model.getOutputDetails().map((detail) => detail.name);
    const wanted = this.file.outputs.map((output) => names.indexOf(output.name));
    return wanted.every((place) => place >= 0) ? wanted.map((place) => list[place]) : list;
  }

  close() {
    this.model.delete();
  }
}

// q = round(x / scale) + zero point, within the type's range.
function stored(values, info) {
  const Type = ARRAYS[info.dtype];
  if (!Type) throw new Error(`its input is ${info.dtype}, which LiteRT.js does not take`);
  if (!info.scale) return info.dtype === 'float32' ? values : Type.from(values);
  const [low, high] = BYTE;
  const zero = info.zero_point || 0;
  return Type.from(values, (x) => Math.min(high, Math.max(low, Math.round(x / info.scale) + zero)));
}

function real(values, info) {
  if (!info || !info.scale) return Float32Array.from(values);
  const zero = info.zero_point || 0;
  return Float32Array.from(values, (q) => info.scale * (q - zero));
}

// Every output of the file on `count` samples, as nested lists of its shape.
export async function answers(runner, count, sample) {
  const collected = runner.file.outputs.map(() => []);
  for (let at = 0; at < count; at++) {
    const outputs = await runner.run(sample(at));
    outputs.forEach((output, place) => {
      const shape = runner.file.outputs[place].shape.slice(1);
      collected[place].push(nested(Array.from(output), shape));
    });
    if (at % 32 === 31) await new Promise((resume) => setTimeout(resume));
  }
  return collected;
}

function nested(flat, shape) {
  if (shape.length <= 1) return flat;
  const step = flat.length / shape[0];
  const parts = [];
  for (let at = 0; at < shape[0]; at++) {
    parts.push(nested(flat.slice(at * step, (at + 1) * step), shape.slice(1)));
  }
  return parts;
}

// Percentiles of the milliseconds a run, over blocks of as many runs as take BLOCK_MS, because
// browsers round their clocks. `times` are the blocks' means in their order.
export async function percentiles(runner, sample) {
  const once = (await runner.time(sample, 5)) / 5;
  const block = Math.max(1, Math.min(1000, Math.ceil(BLOCK_MS / Math.max(once, 0.001))));
  const times = [];
  const begin = performance.now();
  for (;;) {
    const spent = performance.now() - begin;
    if (spent > MOST_MS && times.length >= 5) break;
    if (times.length >= BLOCKS && spent > LEAST_MS) break;
    times.push(Math.max((await runner.time(sample, block)) / block, 1e-6));
    if (times.length % 10 === 0) await new Promise((resume) => setTimeout(resume));
  }
  const sorted = [...times].sort((one, other) => one - other);
  const at = (share) => sorted[Math.min(times.length - 1, Math.floor(share * times.length))];
  return {
    times,
    runs_a_block: block,
    latency_ms_p50: at(0.5),
    latency_ms_p90: at(0.9),
    latency_ms_p99: at(0.99),
  };
}
