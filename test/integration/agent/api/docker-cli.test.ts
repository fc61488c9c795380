import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import test from 'ava';
import { WebSocket } from 'ws';
import type { ApiServer } from '#proto/http/server.ts';
import { dockerClient } from '#test/support/docker-cli.ts';
import { EngineLab, traces } from '#test/support/engine-lab.ts';
import { serveEngine } from '#test/support/engine-server.ts';

/* The unmodified docker CLI against the engine of one machine. */

let lab: EngineLab;
let server: ApiServer;
let clientFolder: string;

test.before(async () => {
  lab = await EngineLab.open('cli');
  server = await serveEngine(lab.engine, [{ kind: 'unix', path: join(lab.folder, 'd.sock') }]);
  clientFolder = mkdtempSync(join(tmpdir(), 'shoal-test-cli-config-'));
});

test.after.always(async (t) => {
  await server[Symbol.asyncDispose]();
  await lab[Symbol.asyncDispose]();
  rmSync(clientFolder, { recursive: true });
  t.deepEqual(traces(lab.instance), [], 'nothing is left on the machine');
});

/** Runs a shell line with `docker` in it. */
async function sh(line: string): Promise<{ code: number; out: string; err: string }> {
  const env = {
    ...process.env,
    PATH: `${process.env['PATH']}:${dirname(dockerClient())}`,
    DOCKER_HOST: `unix://${join(lab.folder, 'd.sock')}`,
    DOCKER_CONFIG: clientFolder,
    DOCKER_CLI_HINTS: 'false',
  };
  const child = spawn('bash', ['-c', line], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const code = new Promise<number>((resolve) => child.once('close', (status) => resolve(status ?? -1)));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, out, err };
}

const NONE = '--network none';

/**
 * Runs a command in a terminal where this is typed. It is typed once the terminal takes every character as it is: one
 * that edits lines would keep the detach keys for itself.
 */
async function inTerminal(command: string, typed: string): Promise<{ code: number; out: string }> {
  const folder = mkdtempSync(join(clientFolder, 'terminal-'));
  writeFileSync(join(folder, 'typed'), typed);
  writeFileSync(join(folder, 'run.sh'), `stty raw; cat ${folder}/typed > ${folder}/keys; ${command}`);
  // Opened for both ways: whoever reads it sees no end.
  return sh(`mkfifo ${folder}/keys; script -qec 'bash ${folder}/run.sh' /dev/null <> ${folder}/keys`);
}

test('version, info', async (t) => {
  t.regex(
    (await sh('docker version')).out,
    /Server: Shoal[\s\S]*API version: +1\.51 \(minimum version 1\.24\)/,
  );
  t.regex((await sh('docker info')).out, /Storage Driver: overlay2[\s\S]*Swarm: inactive/);
});

test('run: output, exit codes, input, and nothing left with --rm', async (t) => {
  t.deepEqual(await sh(`docker run --rm ${NONE} busybox echo hi`), { code: 0, out: 'hi\n', err: '' });
  t.is((await sh(`docker run --rm ${NONE} busybox sh -c 'exit 42'`)).code, 42);
  t.is((await sh(`echo piped | docker run -i --rm ${NONE} busybox cat`)).out, 'piped\n');
  t.is((await sh(`head -c 2000000 /dev/zero | docker run -i --rm ${NONE} busybox wc -c`)).out, '2000000\n');
  t.is(
    (await sh(`docker run --rm ${NONE} busybox sh -c 'yes 0123456789 | head -c 3000000' | wc -c`)).out.trim(),
    '3000000',
  );
});

test('run: 125, 126 and 127 with the words that say why', async (t) => {
  const missing = await sh(`docker run --rm ${NONE} busybox nosuch`);
  t.is(missing.code, 127);
  t.regex(missing.err, /executable file not found in \$PATH/);
  const denied = await sh(`docker run --rm ${NONE} busybox /etc/passwd`);
  t.is(denied.code, 126);
  t.regex(denied.err, /permission denied/);
  const absent = await sh('docker run --rm --pull never nosuch:1 true');
  t.is(absent.code, 125);
  t.regex(absent.err, /No such image: nosuch:1/);
  const bind = await sh(`docker run --rm ${NONE} --mount type=bind,src=/no/such,dst=/m busybox true`);
  t.is(bind.code, 125);
  t.regex(bind.err, /bind source path does not exist/);
});

test('run -it in a terminal, attach, and leaving it with the detach keys', async (t) => {
  const typed = 'echo A$((1+1))B\nexit\n';
  t.regex((await inTerminal(`docker run -it --rm ${NONE} busybox sh`, typed)).out, /A2B/);
  await sh(`docker run -dit --name kept ${NONE} busybox sh`);
  t.regex((await inTerminal('docker attach kept', '\x10\x11')).out, /read escape sequence/);
  t.is((await sh(`docker inspect -f '{{.State.Running}}' kept`)).out, 'true\n');
});

test('ps, inspect, rename, stop, start, restart, kill, wait, rm', async (t) => {
  const { out } = await sh(
    `docker run -d --name first -l app=x ${NONE} busybox sh -c 'trap "exit 8" INT; while :; do sleep 0.05; done'`,
  );
  const id = out.trim();
  t.regex(
    (await sh('docker ps --filter label=app=x')).out,
    new RegExp(`^CONTAINER ID +IMAGE.*\\n${id.slice(0, 12)} +busybox +"sh -c 'trap`, 'm'),
  );
  t.is(
    (await sh(`docker inspect -f '{{.Name}} {{.State.Status}} {{.HostConfig.NetworkMode}}' first`)).out,
    '/first running none\n',
  );
  t.is(
    (
      await sh(
        'docker rename first second && docker restart -t 0 second && docker ps -q --filter name=second',
      )
    ).out,
    `second\n${id.slice(0, 12)}\n`,
  );
  t.regex((await sh('docker rm second')).err, /cannot remove container "second": container is running/);
  t.is((await sh('docker kill -s INT second; docker wait second')).out, 'second\n8\n');
  t.is(
    (await sh('docker start second; docker stop -t 0 second; docker rm second')).out,
    'second\nsecond\nsecond\n',
  );
  t.regex((await sh('docker start second')).err, /No such container: second/);
});

test('exec: with its exit code, input, detached, in a terminal, and what is not there', async (t) => {
  await sh(`docker run -d --name host ${NONE} busybox sleep 1000`);
  t.is(
    (await sh(`docker exec -e Q=1 -w /etc -u daemon host sh -c 'echo $Q; pwd; id -un; exit 9'`)).out,
    '1\n/etc\ndaemon\n',
  );
  t.is((await sh(`docker exec host sh -c 'exit 9'`)).code, 9);
  t.is((await sh('echo in | docker exec -i host cat')).out, 'in\n');
  t.is(
    (
      await sh(
        'docker exec -d host touch /made && for i in $(seq 50); do docker exec host ls /made && break; done',
      )
    ).code,
    0,
  );
  t.regex((await sh(`script -qec 'docker exec -t host tty' /dev/null`)).out, /\/dev\/pts\/\d/);
  const missing = await sh('docker exec host nosuch');
  t.is(missing.code, 127);
  t.regex(missing.out + missing.err, /executable file not found/);
  t.regex((await sh('docker top host')).out, /^UID +PID +PPID[\s\S]*sleep 1000/);
  t.regex((await sh('docker stats --no-stream --format "{{.Name}} {{.PIDs}}" host')).out, /^host [1-9]$/m);
});

test('pause and unpause, update, logs, events, prune', async (t) => {
  const speaks = 'echo one; until test -f /go; do sleep 0.05; done; echo two >&2; sleep 1000';
  await sh(`docker run -d --name lively ${NONE} busybox sh -c '${speaks}'`);
  await lab.untilSaid('lively', 'one');
  await sh('docker exec lively touch /go');
  await lab.untilSaid('lively', 'two');
  t.regex(
    (await sh('docker pause lively; docker ps --filter name=lively; docker unpause lively')).out,
    /\(Paused\)/,
  );
  t.regex((await sh('docker unpause lively')).err, /is not paused/);
  await sh('docker update -m 100m --memory-swap 200m --restart unless-stopped lively');
  t.is(
    (await sh(`docker inspect -f '{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}' lively`)).out,
    '104857600 unless-stopped\n',
  );
  t.is((await sh('docker logs lively 2>/dev/null')).out, 'one\n');
  t.regex((await sh('docker logs -t --tail 1 lively 2>&1 >/dev/null')).out, /^\d{4}-.*Z two\n$/);
  const events = await sh(
    `docker run --rm --name seen ${NONE} busybox true; docker events --since 1m --until $(($(date +%s)+1)) --filter container=seen --format '{{.Action}}'`,
  );
  t.regex(events.out, /^create\nattach\nstart\ndie\ndestroy\n$/);
  await sh(`docker create --name idle -l prune=me ${NONE} busybox true`);
  t.regex(
    (await sh('docker container prune -f --filter label=prune=me')).out,
    /Deleted Containers:\n[0-9a-f]{64}/,
  );
});

test('volumes and networks', async (t) => {
  t.is(
    (await sh('docker volume create --label l=1 v1; docker volume ls -q --filter label=l=1')).out,
    'v1\nv1\n',
  );
  t.is(
    (
      await sh(
        `docker run --rm ${NONE} -v v1:/d busybox sh -c 'echo kept > /d/f'; docker run --rm ${NONE} -v v1:/d busybox cat /d/f`,
      )
    ).out,
    'kept\n',
  );
  t.is((await sh('docker volume rm v1')).out, 'v1\n');
  t.is(
    (
      await sh(
        `docker network create --subnet 10.66.0.0/24 --label n=1 net1 >/dev/null; docker network inspect -f '{{(index .IPAM.Config 0).Gateway}} {{.Labels.n}}' net1`,
      )
    ).out,
    '10.66.0.1 1\n',
  );
  await sh('docker run -d --name member --network net1 --ip 10.66.0.9 -p 8080:80 busybox sleep 1000');
  t.is(
    (await sh(`docker inspect -f '{{.NetworkSettings.Networks.net1.IPAddress}}' member; docker port member`))
      .out,
    '10.66.0.9\n80/tcp -> 0.0.0.0:8080\n',
  );
  t.regex((await sh('docker network rm net1')).err, /has active endpoints/);
  t.regex((await sh('docker network create -d overlay ov')).err, /This node is not a swarm manager/);
  t.regex((await sh('docker network rm bridge')).err, /pre-defined network and cannot be removed/);
});

test('signals of the client go to the container', async (t) => {
  const script = join(clientFolder, 'signal.sh');
  writeFileSync(
    script,
    `docker run --name signalled ${NONE} busybox sh -c 'trap "echo got; exit 3" TERM; echo up; while :; do sleep 0.05; done' > ${clientFolder}/out & P=$!
for i in $(seq 2400); do grep -q up ${clientFolder}/out && break; sleep 0.05; done
kill -TERM $P; wait $P; echo code=$?; cat ${clientFolder}/out`,
  );
  t.is((await sh(`bash ${script}`)).out, 'code=3\nup\ngot\n');
});

/** What comes over a WebSocket to the engine until the other side ends it. */
function overWebSocket(path: string, input: string): Promise<string> {
  const socket = new WebSocket(`ws+unix://${join(lab.folder, 'd.sock')}:${path}`);
  const pieces: Buffer[] = [];
  return new Promise((resolve, reject) => {
    socket.on('open', () => socket.send(input));
    socket.on('message', (data: Buffer) => pieces.push(data));
    socket.on('close', () => resolve(Buffer.concat(pieces).toString()));
    socket.on('error', reject);
  });
}

test('attach over a WebSocket: input goes in, output comes back, and it ends with the container', async (t) => {
  const id = await lab.run({ Cmd: ['sh', '-c', 'read line; echo got $line'], OpenStdin: true });
  t.is(await overWebSocket(`/v1.51/containers/${id}/attach/ws?stream=1`, 'this\n'), 'got this\n');
  const there = overWebSocket('/containers/nosuch/attach/ws?stream=1', '');
  t.regex((await t.throwsAsync(there))?.message ?? '', /404/);
});
