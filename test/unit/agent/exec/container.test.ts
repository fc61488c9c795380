import test from 'ava';
import {
  ContainerController,
  type ContainerControllerModules,
} from '#agent/exec/container/container-controller.ts';
import { containerOf } from '#agent/exec/container/spec.ts';
import { type TaskContext, TemporaryError } from '#agent/exec/executor.ts';
import { ShoalError } from '#proto/base/errors.ts';
import type { Privileges, TaskSpec } from '#proto/types/specs.ts';

function contextOf(task: Partial<TaskSpec> = {}): TaskContext {
  return {
    task: { id: 'task1', serviceId: 'svc1', slot: 1, networks: [] },
    revision: { serviceName: 'web', serviceLabels: {}, task: { container: { image: 'web:1' }, ...task } },
    node: { nodeId: 'node1', hostname: 'alpha' },
    networks: [],
  } as unknown as TaskContext;
}

/** A task on a node where the image can't be had, for this reason. */
function without(reason: ShoalError): ContainerController {
  const images = { ensure: () => Promise.reject(reason) };
  const containers = {
    withLabel: () => [],
    create: () => Promise.reject(new Error('made without its image')),
  };
  return new ContainerController(contextOf(), {
    images,
    containers,
  } as unknown as ContainerControllerModules);
}

test('container: limits bind it; what is reserved is counted when it is placed, and changes nothing in it', (t) => {
  const limits = { nanoCpus: 500_000_000, memoryBytes: 64 << 20, pids: 40 };
  const resources = { limits, reservations: { memoryBytes: 16 << 20 } };
  const { hostConfig } = containerOf(contextOf({ resources })).request;
  t.like(hostConfig, { NanoCpus: limits.nanoCpus, Memory: limits.memoryBytes, PidsLimit: limits.pids });
  t.is(hostConfig.MemoryReservation, undefined);
});

test('container: what a service says of system call filters and AppArmor holds for its tasks', (t) => {
  const security = (privileges: Privileges): unknown =>
    containerOf(contextOf({ container: { image: 'web:1', privileges } })).request.hostConfig.SecurityOpt;
  const profile = Buffer.from('{"defaultAction":"SCMP_ACT_ALLOW"}').toString('base64');
  t.is(security({ seccomp: { mode: 'default' }, apparmor: { mode: 'default' } }), null);
  t.deepEqual(security({ noNewPrivileges: true, seccomp: { mode: 'custom', profile } }), [
    'no-new-privileges',
    'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}',
  ]);
  t.deepEqual(security({ seccomp: { mode: 'unconfined' }, apparmor: { mode: 'disabled' } }), [
    'seccomp=unconfined',
    'apparmor=unconfined',
  ]);
});

test('prepare: the image is pulled with the credentials of the service', async (t) => {
  const asked: unknown[] = [];
  const registryAuth = { username: 'me', password: 'pw' };
  const controller = new ContainerController(contextOf({ container: { image: 'web:1', registryAuth } }), {
    images: { ensure: async (image: string, auth: unknown) => void asked.push({ image, auth }) },
    containers: { withLabel: () => [], create: async () => undefined },
  } as unknown as ContainerControllerModules);
  await controller.prepare(new AbortController().signal);
  t.deepEqual(asked, [{ image: 'web:1', auth: registryAuth }]);
});

test('prepare: an image that nobody has ends the task in words that clients know, and why', async (t) => {
  const signal = new AbortController().signal;
  const nobody = without(new ShoalError('NOT_FOUND', 'manifest for web:1 not found: manifest unknown'));
  await t.throwsAsync(nobody.prepare(signal), {
    code: 'NOT_FOUND',
    message: 'No such image: web:1: manifest for web:1 not found: manifest unknown',
  });
});

test('prepare: a registry that does not answer is tried again', async (t) => {
  const signal = new AbortController().signal;
  const silent = without(new ShoalError('UNAVAILABLE', 'connection refused'));
  await t.throwsAsync(silent.prepare(signal), {
    instanceOf: TemporaryError,
    message: 'No such image: web:1: connection refused',
  });
});
