import test from 'ava';
import { PatientClock } from '#manager/dispatcher/patient-clock.ts';
import { VirtualClock } from '../../../support/virtual-clock.ts';

test('while the loop runs, time passes as it does', async (t) => {
  const clock = new VirtualClock();
  using patient = new PatientClock(clock);
  await clock.advance(12_345);
  t.is(patient.nowMs(), 12_345);
});

test('while the loop stands still, hardly any time passes, and none is made up for later', async (t) => {
  let fire: () => void = () => undefined;
  let nowMs = 0;
  const clock = {
    monotonicMs: () => nowMs,
    timer(_ms: number, due: () => void) {
      fire = due;
      return () => undefined;
    },
  };
  using patient = new PatientClock(clock);
  nowMs = 250;
  fire();
  t.is(patient.nowMs(), 250);
  nowMs = 30_000;
  const stalled = patient.nowMs();
  t.true(stalled <= 250 + 350, `${stalled}`);
  fire();
  t.is(patient.nowMs(), stalled);
  nowMs = 30_250;
  fire();
  t.is(patient.nowMs(), stalled + 250);
});
