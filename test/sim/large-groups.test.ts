import test from 'ava';
import { runShare } from '../support/sim/share.ts';

for (const share of [
  { members: 5, histories: 60 },
  { members: 7, histories: 30 },
]) {
  test.serial(
    `${share.members} managers: whatever fails, nothing acknowledged is lost, reads see it, and all come to the same`,
    runShare,
    share,
  );
}
