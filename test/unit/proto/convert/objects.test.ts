import test from 'ava';
import { assignments } from '#proto/convert/assignments.ts';
import { cluster } from '#proto/convert/cluster.ts';
import { network } from '#proto/convert/network.ts';
import { node } from '#proto/convert/node.ts';
import { revision, service } from '#proto/convert/service.ts';
import { task } from '#proto/convert/task.ts';
import {
  anyAssignmentDiff,
  anyCluster,
  anyNetwork,
  anyNode,
  anyRevision,
  anyService,
  anyTask,
} from '../../../support/arbitraries.ts';
import { assertRoundTrips } from '../../../support/round-trip.ts';

test('service: comes back from the wire exactly as it was', (t) => {
  t.notThrows(() => assertRoundTrips('Service', service, anyService));
});

test('revision: comes back from the wire exactly as it was', (t) => {
  t.notThrows(() => assertRoundTrips('Revision', revision, anyRevision));
});

test('task: comes back from the wire exactly as it was', (t) => {
  t.notThrows(() => assertRoundTrips('Task', task, anyTask));
});

test('node: comes back from the wire exactly as it was', (t) => {
  t.notThrows(() => assertRoundTrips('Node', node, anyNode));
});

test('network: comes back from the wire exactly as it was', (t) => {
  t.notThrows(() => assertRoundTrips('Network', network, anyNetwork));
});

test('cluster: comes back from the wire exactly as it was', (t) => {
  t.notThrows(() => assertRoundTrips('Cluster', cluster, anyCluster));
});

test('assignments: come back from the wire exactly as they were', (t) => {
  t.notThrows(() => assertRoundTrips('Assignments', assignments, anyAssignmentDiff));
});
