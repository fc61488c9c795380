import test from 'ava';
import { checkConflicts, checkModes, checkUserNamespace } from '#agent/core/conflicts.ts';
import type { ContainerConfig, EndpointConfig, HostConfig } from '#agent/core/container-types.ts';
import { parseCpuList } from '#agent/core/cpu-list.ts';
import { goDuration } from '#agent/core/durations.ts';
import { checkLogOptions } from '#agent/core/logs/options.ts';

function conflictOf(
  hostConfig: HostConfig,
  config: Partial<ContainerConfig> = {},
  endpoints: Record<string, EndpointConfig> = {},
): string {
  try {
    checkConflicts({ config: { Image: 'x', ...config }, hostConfig, endpoints });
    return '';
  } catch (error) {
    return (error as Error).message.replace('conflicting options: ', '');
  }
}

test('the network of another container leaves nothing of its own to be said', (t) => {
  const NetworkMode = 'container:x';
  t.is(conflictOf({ NetworkMode }), '');
  t.is(conflictOf({ NetworkMode }, { Hostname: 'h' }), 'hostname and the network mode');
  t.is(conflictOf({ NetworkMode, Dns: ['1.1.1.1'] }), 'dns and the network mode');
  t.is(conflictOf({ NetworkMode, ExtraHosts: ['a:1'] }), 'custom host-to-IP mapping and the network mode');
  t.regex(conflictOf({ NetworkMode, PortBindings: { '1/tcp': [{}] } }), /^port publishing/);
  t.regex(conflictOf({ NetworkMode }, { ExposedPorts: { '1/tcp': {} } }), /^port exposing/);
  t.regex(
    conflictOf({ NetworkMode: 'host', Links: ['a'] }),
    /^host type networking can't be used with links/,
  );
  t.is(conflictOf({ UTSMode: 'host' }, { Hostname: 'h' }), 'hostname and the UTS mode');
});

test('an address of its own is for networks that users made', (t) => {
  const asked = { IPAMConfig: { IPv4Address: '10.0.0.9' } };
  t.regex(conflictOf({}, {}, { bridge: asked }), /supported on user defined networks only/);
  t.is(conflictOf({ NetworkMode: 'mine' }, {}, { mine: asked }), '');
});

test('modes of namespaces are those that there are', (t) => {
  t.notThrows(() =>
    checkModes({ PidMode: 'host', IpcMode: 'container:a', UTSMode: '', CgroupnsMode: 'host' }),
  );
  t.throws(() => checkModes({ IpcMode: 'odd' }), { message: 'invalid IPC mode: odd' });
  t.throws(() => checkModes({ PidMode: 'container:' }), { message: 'invalid PID mode: container:' });
});

test('CPU lists: numbers and ranges, nothing else', (t) => {
  t.deepEqual([...(parseCpuList('0-2,5') ?? [])], [0, 1, 2, 5]);
  for (const wrong of ['', 'x', '2-1', '1,,2']) t.is(parseCpuList(wrong), undefined);
});

test('durations are told as Go writes them', (t) => {
  t.deepEqual([400, 1500, 30_000, 90_000, 3_600_000].map(goDuration), [
    '400ms',
    '1.5s',
    '30s',
    '1m30s',
    '1h0m0s',
  ]);
});

test('log options are those of the driver', (t) => {
  t.notThrows(() => checkLogOptions({ LogConfig: { Config: { 'max-size': '1m', tag: 'x' } } }));
  t.throws(() => checkLogOptions({ LogConfig: { Type: 'local', Config: { tag: 'x' } } }), {
    message: "unknown log opt 'tag' for local log driver",
  });
});

test('a container in a user namespace has nothing that takes the machine to give', (t) => {
  t.notThrows(() => checkUserNamespace({ NetworkMode: 'bridge', PidMode: 'container:x', UTSMode: 'host' }));
  const refused: [HostConfig, RegExp][] = [
    [{ Privileged: true }, /^privileged mode is incompatible with user namespaces\. {2}You must run/],
    [{ NetworkMode: 'host' }, /^cannot share the host's network namespace when user namespaces are enabled$/],
    [{ PidMode: 'host' }, /^cannot share the host PID namespace when user namespaces are enabled$/],
  ];
  for (const [hostConfig, message] of refused)
    t.throws(() => checkUserNamespace(hostConfig), { code: 'INVALID_ARGUMENT', message });
});
