/**
 * The load of the demonstration, in a process of its own so that nothing else slows it down: so many requests a second
 * at each address, each on a new connection. Counts go to the parent every 200 ms.
 *   node load.ts REQUESTS_PER_SECOND_EACH http://address:port/ …
 */
import { request } from 'node:http';

/** What was sent since the start, and what came back. */
export interface LoadCounts {
  readonly sent: number;
  readonly answered: number;
  readonly failed: number;
  /** Answers by their first line: which version of the service gave them. */
  readonly versions: Readonly<Record<string, number>>;
  /** The last failure, in words. */
  readonly lastFailure?: string;
}

const REQUEST_TIMEOUT_MS = 10_000;
const REPORT_EVERY_MS = 200;
const IN_FLIGHT_MAX = 500;

const counts = { sent: 0, answered: 0, failed: 0, versions: {} as Record<string, number>, lastFailure: '' };
let inFlight = 0;

function send(url: string): void {
  if (inFlight >= IN_FLIGHT_MAX) return fail(`${url}: ${IN_FLIGHT_MAX} requests wait for an answer`);
  inFlight++;
  counts.sent++;
  const call = request(url, { agent: false, timeout: REQUEST_TIMEOUT_MS }, (response) => {
    let body = '';
    response.setEncoding('utf8').on('data', (text: string) => (body += text));
    response.on('end', () => done(url, response.statusCode ?? 0, body));
    response.on('error', (error) => ended(() => fail(`${url}: ${error.message}`)));
  });
  call.on('timeout', () => call.destroy(new Error(`no answer in ${REQUEST_TIMEOUT_MS} ms`)));
  call.on('error', (error) => ended(() => fail(`${url}: ${error.message}`)));
  call.end();
}

function done(url: string, status: number, body: string): void {
  ended(() => {
    if (status !== 200) return fail(`${url}: status ${status}`);
    const version = body.split('\n')[0]?.trim() ?? '';
    counts.answered++;
    counts.versions[version] = (counts.versions[version] ?? 0) + 1;
  });
}

function ended(record: () => void): void {
  inFlight--;
  record();
}

function fail(reason: string): void {
  counts.failed++;
  counts.lastFailure = reason;
}

function main(): void {
  const [rate, ...urls] = process.argv.slice(2);
  const everyMs = 1_000 / Number(rate);
  const sending = urls.map((url, index) => {
    // Spread over the period, so that the addresses take turns.
    let timer = setTimeout(
      () => {
        timer = setInterval(send, everyMs, url);
      },
      (everyMs * index) / urls.length,
    );
    return () => clearTimeout(timer);
  });
  setInterval(() => process.send?.({ ...counts }), REPORT_EVERY_MS);
  process.on('message', (message) => {
    if (message === 'stop') finish(sending);
  });
  process.on('disconnect', () => process.exit());
}

/** Sends nothing more, waits for the answers that are due, reports for the last time. */
function finish(sending: (() => void)[]): void {
  for (const stop of sending) stop();
  const waiting = setInterval(() => {
    if (inFlight > 0) return;
    clearInterval(waiting);
    process.send?.({ ...counts }, () => process.exit());
  }, 10);
}

main();
