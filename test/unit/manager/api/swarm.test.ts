import test from 'ava';
import { swarmInfo } from '#manager/api/info.ts';
import type { NodeId } from '#proto/types/ids.ts';
import { ApiLab, membersOf, node, SELF } from './lab.ts';

interface Swarm {
  readonly Version: { readonly Index: number };
  readonly Spec: Record<string, unknown>;
  readonly JoinTokens: { readonly Worker: string; readonly Manager: string };
}

async function swarm(lab: ApiLab): Promise<Swarm> {
  return (await lab.get('/swarm')).body as Swarm;
}

test('the swarm shows its settings and its tokens, and nothing of its keys', async (t) => {
  await using lab = await ApiLab.open();
  const shown = await swarm(lab);
  t.deepEqual(shown.Spec, {
    Name: 'default',
    Labels: {},
    Orchestration: { TaskHistoryRetentionLimit: 5 },
    Raft: {
      SnapshotInterval: 10_000,
      KeepOldSnapshots: 0,
      LogEntriesForSlowFollowers: 500,
      ElectionTick: 10,
      HeartbeatTick: 1,
    },
    Dispatcher: { HeartbeatPeriod: 5_000_000_000 },
    CAConfig: { NodeCertExpiry: 7_776_000_000_000_000 },
    TaskDefaults: {},
    EncryptionConfig: { AutoLockManagers: false },
  });
  t.regex(shown.JoinTokens.Worker, /^SWMTKN-1-[a-z0-9]{50}-[a-z0-9]{25}$/);
  t.not(shown.JoinTokens.Worker, shown.JoinTokens.Manager);
  t.false(JSON.stringify(shown).includes('PRIVATE KEY'));
  t.like(shown, {
    DefaultAddrPool: null,
    SubnetSize: 24,
    DataPathPort: 4789,
    RootRotationInProgress: false,
  });
});

test('settings that are not asked for stay as they are', async (t) => {
  await using lab = await ApiLab.open();
  const { Version } = await swarm(lab);
  const asked = {
    Orchestration: { TaskHistoryRetentionLimit: 0 },
    Dispatcher: { HeartbeatPeriod: 7_000_000_000 },
  };
  t.is((await lab.call('POST', `/swarm/update?version=${Version.Index}`, asked)).status, 200);
  t.like((await swarm(lab)).Spec, {
    Name: 'default',
    Orchestration: { TaskHistoryRetentionLimit: 0 },
    Dispatcher: { HeartbeatPeriod: 7_000_000_000 },
    CAConfig: { NodeCertExpiry: 7_776_000_000_000_000 },
  });
  t.deepEqual(await lab.call('POST', `/swarm/update?version=${Version.Index}`, asked), {
    status: 500,
    body: { message: 'rpc error: code = Unknown desc = update out of sequence' },
  });
});

test('a token that is rotated is another one, for the same root; the other stays', async (t) => {
  await using lab = await ApiLab.open();
  const before = await swarm(lab);
  const target = `/swarm/update?version=${before.Version.Index}&rotateWorkerToken=true`;
  t.is((await lab.call('POST', target, before.Spec)).status, 200);
  const after = await swarm(lab);
  const root = (token: string): string => token.split('-').slice(0, 3).join('-');
  t.not(after.JoinTokens.Worker, before.JoinTokens.Worker);
  t.is(root(after.JoinTokens.Worker), root(before.JoinTokens.Worker));
  t.is(after.JoinTokens.Manager, before.JoinTokens.Manager);
});

const refused: readonly (readonly [asked: object, status: number, message: RegExp])[] = [
  [{ Name: 'mine' }, 400, /^swarm spec must be named "default"$/],
  [{ CAConfig: { NodeCertExpiry: 1 } }, 400, /^minimum certificate expiry time is: 1h0m0s$/],
  [
    { CAConfig: { NodeCertExpiry: 8_986_000_000_000_000 } },
    400,
    /^maximum certificate expiry time is: 2496h0m0s$/,
  ],
  [{ Dispatcher: { HeartbeatPeriod: -1 } }, 400, /^heartbeat time period cannot be a negative duration$/],
  [{ Orchestration: { TaskHistoryRetentionLimit: -1 } }, 501, /not supported yet/],
  [
    { CAConfig: { ForceRotate: 1 } },
    501,
    /^CAConfig.ForceRotate: rotations of the root are not supported yet$/,
  ],
  [
    { CAConfig: { ExternalCAs: [{ URL: 'u' }] } },
    501,
    /external certificate authorities are not supported yet/,
  ],
];

test('settings that can not be are refused, and change nothing', async (t) => {
  await using lab = await ApiLab.open();
  const { Version, Spec } = await swarm(lab);
  for (const [asked, status, message] of refused) {
    const answer = await lab.call('POST', `/swarm/update?version=${Version.Index}`, asked);
    t.is(answer.status, status, JSON.stringify(asked));
    t.regex((answer.body as { message: string }).message, message);
  }
  t.deepEqual((await swarm(lab)).Spec, Spec);
});

test('making, joining and leaving are handed to the node, with what was left out filled in', async (t) => {
  await using lab = await ApiLab.open();
  lab.noManager = 'inactive';
  t.deepEqual(await lab.call('POST', '/swarm/init', { AdvertiseAddr: '10.0.0.1', SubnetSize: 26 }), {
    status: 200,
    body: SELF,
  });
  const join = { RemoteAddrs: ['m:2377'], JoinToken: 'T', Availability: 'drain', ListenAddr: '1.2.3.4:1' };
  t.deepEqual(await lab.call('POST', '/swarm/join', join), { status: 200, body: undefined });
  t.is((await lab.call('POST', '/swarm/leave?force=1')).status, 200);
  t.deepEqual(lab.lifecycle.calls, [
    [
      'init',
      {
        listenAddr: '0.0.0.0:2377',
        advertiseAddr: '10.0.0.1',
        forceNewCluster: false,
        availability: 'active',
        addressPools: ['10.0.0.0/8'],
        subnetBits: 26,
        dataPathPort: 4789,
        spec: {},
      },
    ],
    ['join', { listenAddr: '1.2.3.4:1', remoteAddrs: ['m:2377'], joinToken: 'T', availability: 'drain' }],
    ['leave', true],
  ]);
});

const badInits: readonly (readonly [body: object, message: RegExp])[] = [
  [{ DataPathPort: 80 }, /data path port must be in the range of 1024 to 49151/],
  [{ SubnetSize: 30 }, /subnet size should be less than or equal to 29/],
  [{ DefaultAddrPool: ['10.0.0.0'] }, /Invalid default address pool 10.0.0.0/],
  [{ Availability: 'asleep' }, /invalid Availability: "asleep"/],
];

test('requests that can not be met are refused before the node hears of them', async (t) => {
  await using lab = await ApiLab.open();
  for (const [body, message] of badInits) {
    const answer = await lab.call('POST', '/swarm/init', body);
    t.is(answer.status, 400);
    t.regex((answer.body as { message: string }).message, message);
  }
  t.is((await lab.call('POST', '/swarm/join', { JoinToken: 'T' })).status, 400);
  t.deepEqual(lab.lifecycle.calls, []);
});

async function unlockKey(lab: ApiLab): Promise<string> {
  return ((await lab.get('/swarm/unlockkey')).body as { UnlockKey: string }).UnlockKey;
}

async function setAutolock(lab: ApiLab, on: boolean, query = ''): Promise<void> {
  const { Version } = await swarm(lab);
  const body = { EncryptionConfig: { AutoLockManagers: on } };
  t200(await lab.call('POST', `/swarm/update?version=${Version.Index}${query}`, body));
}

function t200({ status, body }: { status: number; body: unknown }): void {
  if (status !== 200) throw new Error(JSON.stringify(body));
}

test('autolock: there is a key while it is on, the same until it is rotated', async (t) => {
  await using lab = await ApiLab.open();
  t.is(await unlockKey(lab), '');
  await setAutolock(lab, true);
  const first = await unlockKey(lab);
  t.regex(first, /^SWMKEY-1-[A-Za-z0-9+/]{43}$/);
  await setAutolock(lab, true);
  t.is(await unlockKey(lab), first);
  await setAutolock(lab, true, '&rotateManagerUnlockKey=true');
  const second = await unlockKey(lab);
  t.regex(second, /^SWMKEY-1-/);
  t.not(second, first);
  await setAutolock(lab, false);
  t.is(await unlockKey(lab), '');
  await setAutolock(lab, false, '&rotateManagerUnlockKey=true');
  t.is(await unlockKey(lab), '', 'where nothing is locked there is no key to rotate');
});

test('unlock: only what is locked, and only with what is a key', async (t) => {
  await using lab = await ApiLab.open();
  await setAutolock(lab, true);
  const key = await unlockKey(lab);
  t.deepEqual(await lab.call('POST', '/swarm/unlock', { UnlockKey: key }), {
    status: 409,
    body: { message: 'swarm is not locked' },
  });
  lab.noManager = 'inactive';
  t.is((await lab.call('POST', '/swarm/unlock', { UnlockKey: key })).status, 503);
  lab.noManager = 'locked';
  for (const typed of ['', 'x', key.slice(0, -2), key.replace('SWMKEY', 'SWMTKN')]) {
    t.deepEqual(await lab.call('POST', '/swarm/unlock', { UnlockKey: typed }), {
      status: 400,
      body: { message: 'invalid key string' },
    });
  }
  t.deepEqual(lab.lifecycle.calls, []);
  t.is((await lab.call('POST', '/swarm/unlock', { UnlockKey: key })).status, 200);
  t.deepEqual(lab.lifecycle.calls, [['unlock', lab.view.cluster?.unlockKey]]);
});

test('secrets and configs can be looked for; making one is refused', async (t) => {
  await using lab = await ApiLab.open();
  for (const kind of ['secret', 'config']) {
    t.deepEqual(await lab.get(`/${kind}s?filters={"name":["x"]}`), { status: 200, body: [] });
    t.deepEqual(await lab.get(`/${kind}s/x`), { status: 404, body: { message: `${kind} x not found` } });
    t.deepEqual(await lab.call('POST', `/${kind}s/create`, { Name: 'x' }), {
      status: 501,
      body: { message: `${kind}s are not supported yet` },
    });
    t.is((await lab.get(`/${kind}s?filters={"sea":["x"]}`)).status, 400);
  }
});

test('a manager tells of the swarm what it has, without waiting for others', async (t) => {
  await using lab = await ApiLab.open();
  await lab.write(node('n1'));
  const { info, header } = swarmInfo(lab.modules);
  t.is(header, 'active/manager');
  t.like(await info, {
    NodeID: SELF,
    NodeAddr: '10.0.0.1',
    LocalNodeState: 'active',
    ControlAvailable: true,
    Error: '',
    RemoteManagers: [{ NodeID: SELF, Addr: '127.0.0.1:2' }],
    Nodes: 2,
    Managers: 1,
  });
  const { Cluster } = (await info) as { Cluster: Record<string, unknown> };
  t.like(Cluster, { DataPathPort: 4789 });
  t.false('JoinTokens' in Cluster);
  lab.opened.log.loseLeadership();
  t.like(await swarmInfo(lab.modules).info, { Nodes: 2, ControlAvailable: true });
  t.regex(((await swarmInfo(lab.modules).info) as { Error: string }).Error, /does not have a leader/);
});

test('two managers are warned about', async (t) => {
  const { log } = new ApiLab().opened;
  const consensus = Object.assign(log, membersOf({ id: SELF }, { id: 'm2' }));
  await using lab = await ApiLab.open({ consensus });
  const { Warnings } = (await swarmInfo(lab.modules).info) as { Warnings: string[] };
  t.regex(Warnings.join(), /two-manager configuration/);
});

test('other nodes tell how they stand', async (t) => {
  await using lab = await ApiLab.open();
  lab.noManager = 'worker';
  const managers = [{ nodeId: 'm1' as NodeId, addr: '10.0.0.1:2377' }];
  lab.lifecycle.local = { state: 'active', nodeId: 'w1' as NodeId, nodeAddr: '10.0.0.2', managers };
  const worker = swarmInfo(lab.modules);
  t.is(worker.header, 'active/worker');
  t.deepEqual(await worker.info, {
    NodeID: 'w1',
    NodeAddr: '10.0.0.2',
    LocalNodeState: 'active',
    ControlAvailable: false,
    Error: '',
    RemoteManagers: [{ NodeID: 'm1', Addr: '10.0.0.1:2377' }],
  });
  lab.noManager = 'inactive';
  lab.lifecycle.local = { state: 'inactive', managers: [] };
  const none = swarmInfo(lab.modules);
  t.is(none.header, 'inactive');
  t.like(await none.info, { NodeID: '', LocalNodeState: 'inactive', RemoteManagers: null });
});
