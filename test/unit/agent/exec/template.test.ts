import test from 'ava';
import { expand } from '#agent/exec/container/template.ts';
import type { TaskContext } from '#agent/exec/executor.ts';

const context = {
  task: { id: 'task1', serviceId: 'svc1', slot: 3 },
  revision: { serviceName: 'web', serviceLabels: { tier: 'front', 'com.x': 'y' } },
  node: { nodeId: 'node1', hostname: 'alpha' },
} as unknown as TaskContext;

const expansions = [
  ['{{.Service.Name}}-{{.Task.Slot}}', 'web-3'],
  ['{{ .Node.Hostname }}', 'alpha'],
  ['{{.Node.ID}}/{{.Service.ID}}/{{.Task.ID}}', 'node1/svc1/task1'],
  ['{{.Service.Labels.tier}}', 'front'],
  ['{{index .Service.Labels "com.x"}}', 'y'],
  ['plain', 'plain'],
] as const;

for (const [text, wanted] of expansions) {
  test(`template: ${text} becomes ${wanted}`, (t) => {
    t.is(expand(text, context, 'web.3.task1'), wanted);
  });
}

test('template: the slot of a global task is its node', (t) => {
  const onNode = { ...context, task: { ...context.task, slot: 0 } };
  t.is(expand('{{.Task.Slot}}', onNode, 'x'), 'node1');
});

test('template: an unknown placeholder is refused by name', (t) => {
  t.throws(() => expand('{{.Service.Secret}}', context, 'x'), {
    message: /\{\{\.Service\.Secret\}\} is no placeholder/,
  });
});
