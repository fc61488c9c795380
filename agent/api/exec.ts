import type { Duplex } from 'node:stream';
import { messageOf, ShoalError } from '#proto/base/errors.ts';
import { hasBody } from '#proto/http/body.ts';
import { type ApiRequest, empty, json, type Reply, type Route } from '#proto/http/types.ts';
import { emitContainer } from '../core/container-events.ts';
import type { Exec, ExecConfig } from '../core/execs.ts';
import type { ExecProcess } from '../core/linux/exec-process.ts';
import { RuntimeFailure } from '../core/linux/runtime-failure.ts';
import type { Engine } from '../core/open-engine.ts';
import { shaped } from './body-shape.ts';
import { EXEC } from './container-shape.ts';
import { sizeOf } from './containers.ts';
import { parseDetachKeys } from './detach-keys.ts';
import { frame, streamType } from './frames.ts';
import { pumpInput, writeTo } from './pump.ts';

/** Commands in running containers. */
export function execRoutes({ engine }: { engine: Engine }): Route[] {
  return [
    { method: 'POST', path: '/containers/{id}/exec', handle: (request) => create(engine, request) },
    { method: 'POST', path: '/exec/{id}/start', handle: (request) => start(engine, request) },
    { method: 'POST', path: '/exec/{id}/resize', handle: (request) => resize(engine, request) },
    { method: 'GET', path: '/exec/{id}/json', handle: ({ params }) => json(execView(find(engine, params))) },
  ];
}

interface CreateBody {
  readonly User?: string;
  readonly Privileged?: boolean;
  readonly Tty?: boolean;
  readonly ConsoleSize?: readonly [number, number] | null;
  readonly AttachStdin?: boolean;
  readonly AttachStdout?: boolean;
  readonly AttachStderr?: boolean;
  readonly DetachKeys?: string;
  readonly Env?: readonly string[] | null;
  readonly WorkingDir?: string;
  readonly Cmd?: readonly string[] | null;
}

async function create({ execs }: Engine, request: ApiRequest): Promise<Reply> {
  const body = shaped(await request.json<CreateBody>(), EXEC);
  const config: ExecConfig = {
    cmd: body.Cmd ?? [],
    user: body.User ?? '',
    privileged: body.Privileged ?? false,
    tty: body.Tty ?? false,
    env: body.Env ?? [],
    workingDir: body.WorkingDir ?? '',
    attachStdin: body.AttachStdin ?? false,
    attachStdout: body.AttachStdout ?? false,
    attachStderr: body.AttachStderr ?? false,
    detachKeys: body.DetachKeys ?? '',
    ...(body.ConsoleSize ? { consoleSize: body.ConsoleSize } : {}),
  };
  parseDetachKeys(config.detachKeys);
  return json({ Id: execs.create(request.params['id'] as string, config).id }, 201);
}

function find({ execs }: Engine, params: ApiRequest['params']): Exec {
  return execs.find(params['id'] as string);
}

interface StartBody {
  readonly Detach?: boolean;
  readonly Tty?: boolean;
}

async function start(engine: Engine, request: ApiRequest): Promise<Reply> {
  const exec = find(engine, request.params);
  const body = hasBody(request.headers) ? await request.json<StartBody>() : {};
  if (exec.started) throw new ShoalError('CONFLICT', `exec command ${exec.id} has already run`);
  if (body.Detach) {
    await startDetached(engine, exec);
    return empty(200);
  }
  const client = request.hijack(streamType(exec.config.tty ?? false, request.version.minor));
  void converse(engine, exec, client).catch(() => client.destroy());
  return { kind: 'hijacked' };
}

async function startDetached({ execs }: Engine, exec: Exec): Promise<void> {
  try {
    const { stdin, stdout, stderr } = await execs.start(exec);
    stdin?.end();
    stdout?.resume();
    stderr?.resume();
  } catch (error) {
    if (error instanceof RuntimeFailure)
      throw new ShoalError('INVALID_ARGUMENT', error.message, { cause: error });
    throw error;
  }
}

/** Runs the command with a client on the other side; what goes wrong is told where its output would be. */
async function converse(engine: Engine, exec: Exec, client: Duplex): Promise<void> {
  const tty = exec.config.tty ?? false;
  let process: ExecProcess;
  try {
    process = await engine.execs.start(exec);
  } catch (error) {
    const text = Buffer.from(`${messageOf(error)}\r\n`);
    await writeTo(client, tty ? text : frame('stdout', text));
    client.end();
    return;
  }
  void feed(engine, exec, process, client);
  await Promise.all([
    show(process, 'stdout', client, tty),
    process.stderr === undefined ? undefined : show(process, 'stderr', client, tty),
    process.exit,
  ]);
  client.end();
}

async function feed(
  engine: Engine,
  exec: Exec,
  { stdin, terminal }: ExecProcess,
  client: Duplex,
): Promise<void> {
  const keys = exec.config.tty ? parseDetachKeys(exec.config.detachKeys) : undefined;
  const wanted = exec.config.attachStdin ? stdin : undefined;
  const sink = {
    write: async (data: Uint8Array) => (wanted ? writeTo(wanted, data) : undefined),
    // A terminal has no end of input: it goes with its process.
    end: () => (terminal ? undefined : void wanted?.end()),
  };
  if ((await pumpInput(client, sink, keys)) === 'ended') return;
  emitContainer(engine.parts.events, exec.container, 'exec_detach', { execID: exec.id });
  client.end();
}

async function show(
  process: ExecProcess,
  name: 'stdout' | 'stderr',
  client: Duplex,
  tty: boolean,
): Promise<void> {
  const output = process[name];
  if (output === undefined) return;
  try {
    for await (const data of output as AsyncIterable<Buffer>)
      await writeTo(client, tty ? data : frame(name, data));
  } catch {
    // A terminal whose process has ended reads as broken (EIO): that is its end.
  }
}

function resize({ execs }: Engine, { params, query }: ApiRequest): Reply {
  execs.resize(execs.find(params['id'] as string), sizeOf(query, 'h'), sizeOf(query, 'w'));
  return empty(200);
}

function execView(exec: Exec): Record<string, unknown> {
  const { config } = exec;
  const [entrypoint, ...args] = config.cmd;
  return {
    ID: exec.id,
    Running: exec.process !== undefined && exec.exitCode === undefined,
    ExitCode: exec.exitCode ?? null,
    ProcessConfig: {
      tty: config.tty ?? false,
      entrypoint,
      arguments: args,
      privileged: config.privileged ?? false,
      ...(config.user ? { user: config.user } : {}),
    },
    OpenStdin: config.attachStdin ?? false,
    OpenStderr: config.attachStderr ?? false,
    OpenStdout: config.attachStdout ?? false,
    CanRemove: false,
    ContainerID: exec.container.id,
    DetachKeys: config.detachKeys ?? '',
    Pid: exec.process?.process?.pid ?? 0,
  };
}
