import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import test from 'ava';
import { FAILURES, type FailureCode, ShoalError } from '#proto/base/errors.ts';
import { fromStatus, NotLeaderError, toStatus } from '#proto/rpc/status.ts';

/** What the library makes of a status at the other end. */
function arrived(sent: StatusObject): Error {
  return Object.assign(new Error('as the library words it'), sent, {
    details: decodeURI(encodeURI(sent.details)),
  });
}

test('status: every code arrives as it was thrown, with its message', (t) => {
  for (const code of Object.keys(FAILURES) as FailureCode[]) {
    const thrown = new ShoalError(code, `${code}: 50% of "nodes"\nsaid naïve %20 things ✓`);
    const { code: got, message } = fromStatus(arrived(toStatus(thrown)), 'call');
    t.deepEqual([got, message], [thrown.code, thrown.message]);
    t.is(status[toStatus(thrown).code], FAILURES[code].grpc);
  }
});

test('status: who leads instead arrives with the refusal', (t) => {
  const error = fromStatus(arrived(toStatus(new NotLeaderError('10.0.0.1:2377'))), 'call');
  t.true(error instanceof NotLeaderError);
  t.is((error as NotLeaderError).leaderAddr, '10.0.0.1:2377');
  t.is(error.code, 'UNAVAILABLE');
});

test('status: what is no ShoalError tells the peer nothing but that it is internal', (t) => {
  const { details } = toStatus(new TypeError('secret'));
  t.is(details, 'internal error');
});

test('status: a message is cut to what a header may hold, and broken characters are mended', (t) => {
  const sent = toStatus(new ShoalError('INTERNAL', `\ud800${'x'.repeat(10_000)}`));
  t.is(sent.details.length, 4096);
  t.notThrows(() => encodeURI(sent.details));
});

test('status: without a word from a peer of ours, a broken connection is UNAVAILABLE and names the call', (t) => {
  for (const code of [status.INTERNAL, status.UNKNOWN, status.UNAVAILABLE]) {
    const error = fromStatus(arrived({ code, details: 'reset', metadata: new Metadata() }), '/a/B at c:1');
    t.deepEqual([error.code, error.message], ['UNAVAILABLE', '/a/B at c:1: reset']);
  }
  const late = arrived({ code: status.DEADLINE_EXCEEDED, details: 'late', metadata: new Metadata() });
  t.is(fromStatus(late, 'call').code, 'DEADLINE_EXCEEDED');
});
