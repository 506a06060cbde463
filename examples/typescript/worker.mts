// Runs the tasks of queue invoices, and starts the workflow that asks for them. Node alone is enough.
//
//   node worker.mjs work                    # until Ctrl-C
//   node worker.mjs start KEY NUMBER...     # starts invoice.yaml and waits for its result; SECONDS=5 makes it slow
declare const process: {argv: string[]; env: Record<string, string | undefined>; exitCode: number};

type Task = {lease: string; instance_key: string; attempt: number; heartbeat_timeout_ms: number; input: {lines: number[]; seconds: number}};
// The answer, or a problem: title, detail, fix and code.
type Answer = {tasks?: Task[]; title?: string; detail?: string; finished_at?: string; state?: string; output?: unknown};

const queue = (process.env.LEAT_GATEWAY ?? "http://127.0.0.1:8474") + "/v1/queues/invoices";
const instances = (process.env.LEAT_API ?? "http://127.0.0.1:8470") + "/api/v1/instances/invoice";
const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));

// The status and the answer; 503 when no server answers, so that the request is repeated.
async function ask(method: string, url: string, body?: object): Promise<[number, Answer]> {
  const headers = {"Content-Type": "application/json", Authorization: `Bearer ${process.env.LEAT_TOKEN ?? "none"}`};
  try {
    const answer = await fetch(url, {method, headers, body: body && JSON.stringify(body)});
    return [answer.status, await answer.json() as Answer];
  } catch (error) {
    return [503, {title: String(error)}];
  }
}

async function total(input: Task["input"]) {
  await sleep(input.seconds * 1000);
  return {total: input.lines.reduce((sum, line) => sum + line, 0)};
}

// One attempt: heartbeats while it runs, then how it ended.
async function run(task: Task) {
  const lease = task.lease;
  const beat = setInterval(() => ask("POST", `${queue}/heartbeat`, {lease}), task.heartbeat_timeout_ms / 3);
  const [end, report] = await total(task.input).then(
    (result): [string, object] => ["/complete", {lease, result}],
    (error): [string, object] => ["/fail", {lease, code: "BAD_INVOICE", message: String(error), retryable: false}],
  );
  let [status, answer] = await ask("POST", queue + end, report);
  while (status === 503) {
    await sleep(1000);
    [status, answer] = await ask("POST", queue + end, report);
  }
  clearInterval(beat);
  console.log(end, task.instance_key, "attempt", task.attempt, status, answer.detail ?? "");
}

async function work() {
  for (;;) {
    const [status, answer] = await ask("POST", `${queue}/poll`, {max_tasks: 1, wait: "30s"});
    for (const task of answer.tasks ?? []) {
      console.log("/poll", task.instance_key, "attempt", task.attempt);
      await run(task);
    }
    if (status !== 200) { // no such queue yet, or no server
      console.error(status, answer.title, answer.detail ?? "");
      await sleep(1000);
    }
  }
}

async function start(key: string, ...lines: string[]) {
  const input = {lines: lines.map(Number), seconds: Number(process.env.SECONDS ?? 0)};
  let [status, answer] = await ask("POST", instances, {key, input});
  while ((status === 200 || status === 202) && !answer.finished_at) { // the server waits; then ask again
    [status, answer] = await ask("GET", `${instances}/${encodeURIComponent(key)}?wait=30s`);
  }
  console.log(JSON.stringify(answer.output ?? answer));
  process.exitCode = answer.state === "completed" ? 0 : 1;
}

const [verb, ...rest] = process.argv.slice(2);
await (verb === "work" ? work() : start(rest[0], ...rest.slice(1)));
